"""Laws of stems side by side: each is computed once, by its share of the threads."""

import threading
from collections.abc import Iterator

import pytest
import torch

from spleeter.backends.torch.side_by_side import SideBySide
from tests.utils.test_forks import holds_in_a_child, needs_fork


@pytest.fixture(autouse=True)
def usual_threads() -> Iterator[None]:
    usual = torch.get_num_threads()
    yield
    torch.set_num_threads(usual)


def called(side_by_side: SideBySide, n_items: int) -> list[tuple[int, int, bool]]:
    """For each item its number, the torch threads that it had, and whether the caller computed it."""
    calls: list[tuple[int, int, bool]] = []
    caller = threading.get_ident()
    side_by_side(lambda item: calls.append((item, torch.get_num_threads(), threading.get_ident() == caller)), n_items)
    return sorted(calls)


@pytest.mark.parametrize(
    ("n_threads", "n_items", "each", "n_left_over"),
    [
        (1, 4, 1, 4),  # all by the caller
        (2, 1, 2, 1),
        (2, 2, 1, 0),
        (2, 5, 1, 1),
        (4, 2, 2, 0),
        (4, 5, 1, 1),
        (3, 2, 3, 2),  # which do not come out even
        (8, 5, 2, 1),
    ],
)
def test_threads_are_divided_evenly(n_threads: int, n_items: int, each: int, n_left_over: int) -> None:
    torch.set_num_threads(n_threads)
    side_by_side = SideBySide()
    for _ in range(3):
        calls = called(side_by_side, n_items)
        assert [item for item, _, _ in calls] == list(range(n_items))
        assert [n for _, n, by_caller in calls if by_caller] == [n_threads] * n_left_over
        assert [n for _, n, by_caller in calls if not by_caller] == [each] * (n_items - n_left_over)
        assert torch.get_num_threads() == n_threads


def test_threads_of_others_have_the_usual_number() -> None:
    torch.set_num_threads(2)
    SideBySide()(lambda _: None, 2)
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [2]


def test_the_number_of_threads_can_change() -> None:
    side_by_side = SideBySide()
    for n_threads in (2, 4, 1, 2):
        torch.set_num_threads(n_threads)
        assert {n for _, n, _ in called(side_by_side, 2)} == {max(1, n_threads // 2)}


def test_they_meet_so_they_are_side_by_side() -> None:
    torch.set_num_threads(2)
    barrier = threading.Barrier(2, timeout=10)
    SideBySide()(lambda _: barrier.wait(), 4)


def test_an_error_reaches_the_caller() -> None:
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError):
        SideBySide()(lambda item: 1 / (item - 1), 2)


@needs_fork
def test_a_forked_process_has_threads_of_its_own() -> None:
    torch.set_num_threads(2)
    side_by_side, values = SideBySide(), torch.rand(2, 200, 200)

    def products() -> list[float]:
        computed = [0.0, 0.0]

        def multiply(item: int) -> None:
            computed[item] = float((values[item] @ values[item]).sum())

        side_by_side(multiply, 2)
        return computed

    expected = products()
    seen: list[bool] = []
    # The main thread has a team of OpenMP threads by now, which no child of it could use: a new thread has its own.

    def in_a_thread() -> bool:
        thread = threading.Thread(target=lambda: seen.append(products() == expected))
        thread.start()
        thread.join()
        return seen == [True]

    assert holds_in_a_child(in_a_thread)
