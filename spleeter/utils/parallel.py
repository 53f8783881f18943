"""The same done to many things, with all cores."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Work on items in threads, one a core: for work that releases the interpreter, such as decoding.

    Args:
        work: done to each.
        items: to be worked on.
        progress: called in this thread with how many are done and how many there are, also before the first. What it
            raises stops the work: what has begun is finished, and the rest left.

    Returns:
        The results, in the order of the items.
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
