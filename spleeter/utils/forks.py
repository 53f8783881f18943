"""Threads and locks through a fork and the end of the interpreter.

A forked process has the memory of its parent but none of its threads: what they worked off or released stays so.
`PerProcess` makes such things anew in each process. `Activity` is work that must not be cut in two: a fork waits
until computing is between two chunks, and the interpreter ends only after whatever is under way.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from threading import Condition, Lock, Thread, get_ident
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from spleeter.utils.logging import logger

__all__ = ["COMPUTING", "SEPARATING", "Activity", "PerProcess", "end_with_interpreter"]

Value = TypeVar("Value")

_PATIENCE = 10.0
"""Seconds that the end of the interpreter waits for a separation in a daemon thread to clean up, and for a thread."""


class PerProcess(Generic[Value]):
    """What each process makes for itself at its first use, such as a thread or a lock."""

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self.forget()
        _PER_PROCESS.add(self)

    def get(self) -> Value:
        """The one of this process."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def forget(self) -> None:
        """Have the next `get` make it anew."""
        self._lock = Lock()
        self._made: list[Value] = []


_PER_PROCESS: WeakSet[PerProcess[Any]] = WeakSet()


class Activity:
    """A kind of work, done `with` this object, that can be kept from beginning and waited for."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._threads: list[int] = []
        self._n_holds = 0
        self._is_closed = False

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._n_holds or get_ident() in self._threads)
            if self._is_closed:
                raise SystemExit  # which ends a thread without a traceback
            self._threads.append(get_ident())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._threads.remove(get_ident())
            self._changed.notify_all()

    def hold(self) -> None:
        """Wait until no other thread does such work; none begins until `release`."""
        with self._changed:
            self._n_holds += 1
            self.wait()

    def release(self) -> None:
        """Undo `hold`."""
        with self._changed:
            self._n_holds -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Have a thread that begins such work from now on get a SystemExit."""
        with self._changed:
            self._is_closed = True

    def is_under_way(self) -> bool:
        """Whether another thread does such work."""
        return any(thread != get_ident() for thread in self._threads)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no other thread does such work, or `timeout` seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_under_way(), timeout)

    def forget_others(self) -> None:
        """In a forked process, forget the threads that are only the parent's."""
        self._changed, self._n_holds = Condition(), 0
        self._threads = [thread for thread in self._threads if thread == get_ident()]


COMPUTING = Activity()
"""A chunk, or the loading of a network: a fork in the middle would leave the locks of torch's libraries held."""

SEPARATING = Activity()
"""A song, or the saving of its stems."""


_ENDING: WeakKeyDictionary[Thread, Callable[[], object]] = WeakKeyDictionary()


def end_with_interpreter(thread: Thread, stop: Callable[[], object]) -> None:
    """Have the interpreter call `stop` at its end, and wait for the thread.

    A daemon thread is cut off at its next line of Python; where C++ has called that, as torch does when it frees a
    tensor, the process is aborted.
    """
    _ENDING[thread] = stop


def _renew() -> None:
    _ENDING.clear()
    for activity in (COMPUTING, SEPARATING):
        activity.forget_others()
    for held in list(_PER_PROCESS):
        held.forget()


def _end() -> None:
    """Let daemon threads stop where they can, rather than abort the process wherever they are."""
    COMPUTING.close()
    if SEPARATING.is_under_way():
        logger.warning(
            "the program ends while a daemon thread still separates: that is ended too; join the thread first"
        )
    SEPARATING.wait(_PATIENCE)
    COMPUTING.wait()
    for stop in list(_ENDING.values()):
        stop()
    for thread in list(_ENDING):
        thread.join(_PATIENCE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=COMPUTING.hold, after_in_parent=COMPUTING.release, after_in_child=_renew)
atexit.register(_end)
