"""A thread that computes: it processes the requests of many in batches."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from spleeter.utils.forks import COMPUTING, PerProcess, end_with_interpreter

__all__ = ["BatchWorker"]

Request = TypeVar("Request")
Result = TypeVar("Result")


class BatchWorker(Generic[Request, Result]):
    """Processes requests from any thread in one long-lived thread; those that wait together, in a batch.

    The thread ends with this object; a forked process has its own. After the interpreter's end requests are refused.

    Args:
        process: a batch of requests -> a result for each. If a batch fails, each of its requests is tried alone.
        weigh: how much of the capacity a request takes.
        capacity: of a batch; a request that weighs more is a batch of its own.
    """

    def __init__(
        self, process: Callable[[Sequence[Request]], Sequence[Result]], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._thread = PerProcess(partial(_BatchThread[Request, Result], process, weigh, capacity))

    def __call__(self, request: Request) -> Result:
        """Have a request processed, and wait for its result."""
        entry = _Entry[Request, Result](request)
        self._thread.get().entries.put(entry)
        try:
            return entry.future.result()
        finally:
            del entry  # an error holds this frame: holding the error too would keep its memory until collected


class _BatchThread(Generic[Request, Result]):
    """The thread, which processes `entries` until this object is gone."""

    def __init__(
        self, process: Callable[[Sequence[Request]], Sequence[Result]], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self.entries: SimpleQueue[_Entry[Request, Result] | None] = SimpleQueue()
        batches = _BatchQueue(self.entries, weigh, capacity)
        thread = threading.Thread(
            target=_process_batches, args=(batches, process), name="spleeter-compute", daemon=True
        )
        thread.start()
        end = partial(self.entries.put, None)
        end_with_interpreter(thread, end)
        weakref.finalize(self, end).atexit = False  # others may still need it


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
        with COMPUTING:
            results = process([entry.request for entry in batch])
    except BaseException:
        return False
    for entry, result in zip(batch, results, strict=True):
        entry.future.set_result(result)
    batch.clear()  # or their memory would be held until the next batch
    return True


def _process_alone(entry: _Entry[Request, Result], process: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
    try:
        with COMPUTING:
            (result,) = process([entry.request])
        entry.future.set_result(result)
    except BaseException as error:  # whatever it is, the caller is the one to know
        entry.future.set_exception(error)
    finally:
        del entry  # as in `BatchWorker.__call__`
