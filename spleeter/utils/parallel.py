"""How many cores there are to compute with, and one function applied to many items in a thread pool."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from math import ceil
from pathlib import Path
from typing import TypeVar

__all__ = ["available_cpus", "in_parallel"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cpus() -> int:
    """The cores that this process may use, by its affinity and by the quota of its Linux container (cgroup v2)."""
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(n_cpus, ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such container, or "max"
        return n_cpus


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
    with ThreadPoolExecutor(available_cpus()) as threads:
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
