"""One function applied to many items in a thread pool."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import TypeVar

from spleeter.utils.cpus import available_cpus

__all__ = ["in_parallel", "until_stopped"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_PROGRESS_SECONDS = 0.2
"""Between calls of `progress`, and so at most until an exception that it raises on a signal."""


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Event | None = None,
) -> list[Result]:
    """Apply `work` to every item, in one thread per core: for work that releases Python's lock, such as decoding.

    Args:
        work: called once with each item.
        items: what it is called with.
        progress: called in this thread with the number of items done and of all, first with 0 done, and then several
            times a second. An exception that it raises cancels the items that have not begun; those that have are
            finished, or stop by `stopped`.
        stopped: is set when that happens, so that `work` can stop too: see `until_stopped`.

    Returns:
        The results, in the order of the items.

    Raises:
        The first exception that `work` or `progress` raises.
    """
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    with ThreadPoolExecutor(available_cpus()) as threads:
        futures = [threads.submit(work, item) for item in items]
        for future in futures:
            future.add_done_callback(done.put)
        n_done = 0
        try:
            progress(0, len(items))
            while n_done < len(items):
                with suppress(Empty):
                    done.get(timeout=_PROGRESS_SECONDS).result()
                    n_done += 1
                progress(n_done, len(items))
        except BaseException:
            if stopped is not None:
                stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def until_stopped(items: Iterable[Item], stopped: Event) -> Iterator[Item]:
    """Yield items; raise CancelledError as soon as the event is set."""
    for item in items:
        if stopped.is_set():
            raise CancelledError
        yield item
