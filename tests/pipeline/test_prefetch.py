"""Laws of the prefetching iterator."""

import threading
import time
from collections.abc import Iterator

import pytest

from spleeter.pipeline.prefetch import prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(range(100), depth=3)) == list(range(100))


def test_none_is_an_item_like_any_other() -> None:
    assert list(prefetch([None, 1, None])) == [None, 1, None]


def test_an_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = prefetch(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_never_more_than_depth_items_ahead() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken = number + 1
            yield number

    for consumed, _ in enumerate(prefetch(source(), depth=2), start=1):
        time.sleep(0.001)
        assert taken <= consumed + 2 + 1  # two wait in the queue, one waits to be put there


def test_closing_early_closes_the_source_and_its_thread() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(endless())
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() <= before  # others may end meanwhile


def test_what_is_not_iterable_is_an_error_and_no_hang() -> None:
    with pytest.raises(TypeError, match="iterable"):
        next(prefetch(None))  # type: ignore[arg-type]


def test_closing_waits_for_a_source_at_work() -> None:
    at_work = threading.Event()

    def slow() -> Iterator[int]:
        while True:
            at_work.set()
            time.sleep(0.1)
            at_work.clear()
            yield 0

    items = prefetch(slow())
    next(items)
    items.close()
    assert not at_work.is_set()


def test_nests() -> None:
    doubled = (2 * item for item in prefetch(range(20)))
    assert list(prefetch(doubled)) == [2 * number for number in range(20)]
