"""A thread pool over items: results in order, progress in this thread, errors and interruptions without delay."""

import threading
import time

import pytest

from spleeter.utils.parallel import in_parallel


def test_results_are_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 * (3 - item))
        return item**2

    assert in_parallel(work, [0, 1, 2]) == [0, 1, 4]


def test_progress_is_reported_in_this_thread_and_begins_with_0() -> None:
    reported: list[tuple[int, int, bool]] = []
    here = threading.current_thread()
    in_parallel(
        str, [1, 2, 3], lambda done, total: reported.append((done, total, threading.current_thread() is here))
    )
    assert reported == [(done, 3, True) for done in range(4)]


def test_what_progress_raises_leaves_the_rest_undone() -> None:
    worked: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.01)
        worked.append(item)

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_parallel(work, range(1000), stop)
    assert len(worked) < 500


def test_an_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda item: 1 // item, [1, 0])
