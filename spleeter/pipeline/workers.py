"""One long-lived thread that works requests off; those that wait at the same time are taken together."""

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")


class BatchWorker(Generic[Request, Result]):
    """Does `process` for whoever calls it, from any thread, in one thread, in the order of the calls.

    The thread ends with this object.

    Args:
        process: requests -> a result for each. If several fail together, each is tried alone.
        weigh: how much of the capacity a request takes.
        capacity: the most that is taken together; a request that weighs more is taken alone.
    """

    def __init__(
        self, process: Callable[[Sequence[Request]], Sequence[Result]], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._entries: SimpleQueue[_Entry[Request, Result] | None] = SimpleQueue()
        gather = _Gathering(self._entries, weigh, capacity)
        thread = threading.Thread(target=_work_off, args=(gather, process), name="spleeter-compute", daemon=True)
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


class _Gathering(Generic[Request, Result]):
    """Takes together what waits in a queue, up to a capacity."""

    def __init__(
        self, entries: SimpleQueue[_Entry[Request, Result] | None], weigh: Callable[[Request], int], capacity: int
    ) -> None:
        self._entries, self._weigh, self._capacity = entries, weigh, capacity
        self._left_over: list[_Entry[Request, Result] | None] = []
        """What was looked at and did not fit, if there is something."""

    def __call__(self) -> list[_Entry[Request, Result]]:
        """Wait for at least one entry; none means the end."""
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


def _end(entries: "SimpleQueue[_Entry[Request, Result] | None]", thread: threading.Thread) -> None:
    """End the thread; it must not still be there when the interpreter goes, which would tear it out of its work."""
    entries.put(None)
    if thread is not threading.current_thread():
        thread.join()


def _work_off(gather: _Gathering[Request, Result], process: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
    while _process(gather(), process):
        pass


def _process(batch: list[_Entry[Request, Result]], process: Callable[[Sequence[Request]], Sequence[Result]]) -> bool:
    """Process a batch together or, if that fails, each entry alone. Returns whether there was any."""
    was_any = bool(batch)
    if len(batch) == 1 or not _done_together(batch, process):
        while batch:
            _do_alone(batch.pop(0), process)  # so that this frame, which an error holds too, holds no entry
    return was_any


def _done_together(
    batch: list[_Entry[Request, Result]], process: Callable[[Sequence[Request]], Sequence[Result]]
) -> bool:
    try:
        results = process([entry.request for entry in batch])
    except Exception:
        return False
    for entry, result in zip(batch, results, strict=True):
        entry.future.set_result(result)
    return True


def _do_alone(entry: _Entry[Request, Result], process: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
    try:
        (result,) = process([entry.request])
        entry.future.set_result(result)
    except BaseException as error:  # whatever it is, the caller is the one to know
        entry.future.set_exception(error)
    finally:
        del entry  # as above


class ThreadMap:
    """`map` on threads that are kept: for functions that release the interpreter, such as NumPy's.

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
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="spleeter-map") if n_threads > 1 else None

    def __call__(self, function: Callable[[Request], Result], items: Sequence[Request]) -> list[Result]:
        """The results, in the order of the items."""
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))
