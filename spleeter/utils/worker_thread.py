"""A thread that calls functions in turn, while the caller waits where Ctrl-C reaches it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["WorkerThread"]

Result = TypeVar("Result")

_PATIENCE = 1.0
"""Seconds that a call which was given up is waited for."""


class WorkerThread:
    """Calls functions in one thread of its own.

    Signals reach Python's main thread alone. There, Ctrl-C could strike in a callback from C, where an exception is
    lost, and it could not strike in a read that blocks. Here neither holds: the caller waits in a queue.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()
        self._is_calling = self._is_cancelled = False
        self._thread = threading.Thread(target=_serve, args=(self._calls, self._outcomes), daemon=True)
        self._thread.start()
        weakref.finalize(self, self._calls.put, None)

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in the thread, and return what it returns. One call at a time.

        Raises:
            What the function raises; KeyboardInterrupt after `cancel`; RuntimeError if the thread has ended: by
            `close`, or because it was left behind in the process that this one was forked from.
        """
        self._is_calling = True  # from here on, `cancel` is seen in the next line or ends the wait
        if self._is_cancelled:
            raise KeyboardInterrupt
        if not self._thread.is_alive():
            raise RuntimeError("its thread has ended; was the process forked since?")
        self._calls.put(function)
        outcome = self._outcomes.get()
        if outcome is None:
            raise KeyboardInterrupt
        self._is_calling = False
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def cancel(self) -> None:
        """Raise KeyboardInterrupt where a call is waited for, and in every later one. For any thread and any signal
        handler; returns at once."""
        self._is_cancelled = True
        if self._is_calling:
            self._outcomes.put(None)

    def close(self, last: Callable[[], object]) -> None:
        """Call a last function in the thread, which then ends. May be called from any thread, and more than once.

        A call under way is given up, as by `cancel`, and waited for a second at most. If it blocks longer, the last
        function follows whenever it returns.
        """
        if not self._thread.is_alive():
            return
        self.cancel()
        self._calls.put(last)
        self._calls.put(None)
        self._thread.join(_PATIENCE if self._is_calling else None)


def _serve(
    calls: SimpleQueue[Callable[[], Any] | None], outcomes: SimpleQueue[tuple[Any, BaseException | None] | None]
) -> None:
    while (function := calls.get()) is not None:
        try:
            outcomes.put((function(), None))
        except BaseException as error:  # whatever it is, the caller is the one to know
            outcomes.put((None, error))
        del function  # it may hold what the caller has let go
