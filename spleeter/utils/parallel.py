"""One function applied to many items in a thread pool."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

__all__ = ["in_parallel"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Apply `work` to every item, in one thread per core: for work that releases Python's lock, such as decoding.

    Args:
        work: called once with each item.
        items: what it is called with.
        progress: called in this thread with the number of items done and of all, first with 0 done. An exception that
            it raises cancels the items that have not begun; those that have are finished.

    Returns:
        The results, in the order of the items.

    Raises:
        The first exception that `work` or `progress` raises.
    """
    results: dict[int, Result] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        futures = {threads.submit(work, item): index for index, item in enumerate(items)}
        try:
            progress(0, len(items))
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                progress(len(results), len(items))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[index] for index in range(len(items))]
