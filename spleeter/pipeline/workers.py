"""Threads that compute: one that processes the requests of many in batches, and a pool that maps over blocks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numpy as np

__all__ = ["BatchWorker", "ThreadMap"]

Request = TypeVar("Request")
Result = TypeVar("Result")


class BatchWorker(Generic[Request, Result]):
    """Processes requests from any thread in one long-lived thread; those that wait together, in a batch.

    The thread ends with this object.

    Args:
        process: a batch of requests -> a result for each. If a batch fails, each of its requests is tried alone.
        weigh: how much of the capacity a request takes.
        capacity: of a batch; a request that weighs more is a batch of its own.
    """

    def __init__(
        self, process: Callable[[Sequence[Request]], Sequence[Result]], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._entries: SimpleQueue[_Entry[Request, Result] | None] = SimpleQueue()
        batches = _BatchQueue(self._entries, weigh, capacity)
        thread = threading.Thread(
            target=_process_batches, args=(batches, process), name="spleeter-compute", daemon=True
        )
        thread.start()
        weakref.finalize(self, _end, self._entries, thread)  # or when the interpreter ends

    def __call__(self, request: Request) -> Result:
        """Have a request processed, and wait for its result."""
        entry = _Entry[Request, Result](request)
        self._entries.put(entry)
        try:
            return entry.future.result()
        finally:
            del entry  # an error holds this frame: holding the error too would keep its memory until collected


class _Entry(Generic[Request, Result]):
    """A request and what becomes of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: Future[Result] = Future()


class _BatchQueue(Generic[Request, Result]):
    """Makes batches of the entries that wait in a queue, up to a capacity."""

    def __init__(
        self, entries: SimpleQueue[_Entry[Request, Result] | None], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._entries, self._weigh, self._capacity = entries, weigh, capacity
        self._left_over: list[_Entry[Request, Result] | None] = []
        """The entry, if any, that was taken from the queue and did not fit into the last batch."""

    def get(self) -> list[_Entry[Request, Result]]:
        """Wait for a batch; an empty one is the end."""
        batch: list[_Entry[Request, Result]] = []
        room = self._capacity
        entry = self._left_over.pop() if self._left_over else self._entries.get()
        try:
            while entry is not None and (not batch or self._weigh(entry.request) <= room):
                batch.append(entry)
                room -= self._weigh(entry.request)
                entry = self._entries.get_nowait()
        except Empty:
            return batch
        self._left_over.append(entry)
        return batch


def _end(entries: SimpleQueue[_Entry[Request, Result] | None], thread: threading.Thread) -> None:
    """End the thread, and wait for it: one that still computes when the interpreter ends would crash it."""
    entries.put(None)
    if thread is not threading.current_thread():
        thread.join()


def _process_batches(
    batches: _BatchQueue[Request, Result], process: Callable[[Sequence[Request]], Sequence[Result]]
) -> None:
    """Process each batch as a whole or, if that fails, each entry alone, until an empty batch ends it."""
    while batch := batches.get():
        if len(batch) == 1 or not _is_processed(batch, process):
            while batch:
                _process_alone(batch.pop(0), process)  # so that this frame, which an error holds, holds no entry


def _is_processed(
    batch: list[_Entry[Request, Result]], process: Callable[[Sequence[Request]], Sequence[Result]]
) -> bool:
    try:
        results = process([entry.request for entry in batch])
    except Exception:
        return False
    for entry, result in zip(batch, results, strict=True):
        entry.future.set_result(result)
    batch.clear()  # or their memory would be held until the next batch
    return True


def _process_alone(entry: _Entry[Request, Result], process: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
    try:
        (result,) = process([entry.request])
        entry.future.set_result(result)
    except BaseException as error:  # whatever it is, the caller is the one to know
        entry.future.set_exception(error)
    finally:
        del entry  # as in `BatchWorker.__call__`


class ThreadMap:
    """`map` on threads that are kept: for functions that release the interpreter's lock, such as NumPy's.

    It is used by one thread at a time. With one thread, which the caller is, nothing is started.
    """

    def __init__(self) -> None:
        self._n_threads = 1
        self._pool: ThreadPoolExecutor | None = None

    @property
    def n_threads(self) -> int:
        """How many threads work; setting another number ends those there are."""
        return self._n_threads

    @n_threads.setter
    def n_threads(self, n_threads: int) -> None:
        if n_threads == self._n_threads:
            return
        if self._pool is not None:
            self._pool.shutdown()
        self._n_threads = n_threads
        self._pool = None
        if n_threads > 1:  # NumPy's handling of overflow is each thread's own: it is ignored, as by the engine
            self._pool = ThreadPoolExecutor(n_threads, "spleeter-map", partial(np.seterr, all="ignore"))

    def __call__(self, function: Callable[[Request], Result], items: Sequence[Request]) -> list[Result]:
        """The results, in the order of the items."""
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))
