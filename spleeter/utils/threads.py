"""Threads that work functions off, and `map` on them: for functions that release Python's lock, such as NumPy's."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeAlias, TypeVar

from spleeter.utils.forks import PerProcess, end_with_interpreter

__all__ = ["ThreadMap", "Threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_Calls: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]"


class Threads:
    """As many threads as asked for, which work calls off until `shutdown`, or until this object is gone.

    Unlike `concurrent.futures.ThreadPoolExecutor`, they go on when the main thread has ended and others have not.

    Args:
        n_threads: how many.
        name: of the threads, before their number.
        prepare: called by each of them first.
    """

    def __init__(self, n_threads: int, name: str, prepare: Callable[[], object] = lambda: None) -> None:
        self._calls: _Calls = SimpleQueue()
        self._threads = [
            Thread(target=_work, args=(self._calls, prepare), name=f"{name}-{number}", daemon=True)
            for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()
            end_with_interpreter(thread, partial(self._calls.put, None))
        self._end = weakref.finalize(self, _end, self._calls, n_threads)
        self._end.atexit = False  # others may still need them

    def submit(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        """Have a function called."""
        future: Future[Result] = Future()
        self._calls.put((future, partial(function, *args, **kwargs)))
        return future

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results, in the order of the items; the first error, after all have been called."""
        futures = [self.submit(function, item) for item in items]
        try:
            wait(futures)
            return list(map(Future.result, futures))
        finally:
            del futures  # an error holds this frame: holding the error too would keep its memory until collected

    def shutdown(self) -> None:
        """End the threads once they have done what was submitted, and wait for that."""
        if self._end.detach():  # a finalizer that is called does nothing once the interpreter ends
            _end(self._calls, len(self._threads))
        for thread in self._threads:
            thread.join()


def _end(calls: _Calls, n_threads: int) -> None:
    for _ in range(n_threads):
        calls.put(None)


def _work(calls: _Calls, prepare: Callable[[], object]) -> None:
    prepare()
    while (entry := calls.get()) is not None:
        future, call = entry
        try:
            future.set_result(call())
        except BaseException as error:  # whatever it is, the caller is the one to know
            future.set_exception(error)
        del entry, future, call  # or their memory would be held until the next call


class ThreadMap:
    """`map` on threads that are kept. It is used by one thread at a time.

    With one thread, which the caller is, nothing is started.

    Args:
        prepare: called by each thread first.
    """

    def __init__(self, prepare: Callable[[], object] = lambda: None) -> None:
        self._prepare = prepare
        self._n_threads = 1
        self._threads: PerProcess[Threads] | None = None

    @property
    def n_threads(self) -> int:
        """How many threads work; setting another number ends those there are."""
        return self._n_threads

    @n_threads.setter
    def n_threads(self, n_threads: int) -> None:
        if n_threads == self._n_threads:
            return
        if self._threads is not None:
            self._threads.get().shutdown()
        self._n_threads = n_threads
        self._threads = None
        if n_threads > 1:
            self._threads = PerProcess(partial(Threads, n_threads, "spleeter-map", self._prepare))

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results, in the order of the items."""
        if self._threads is None or len(items) < 2:
            return [function(item) for item in items]
        return self._threads.get().map(function, items)
