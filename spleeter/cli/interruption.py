"""Ctrl-C, SIGTERM and SIGHUP, noted when they arrive and raised where cleaning up is safe."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from typer import Exit

from spleeter.utils.logging import logger

__all__ = ["Interruption"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interruption:
    """Within this context a signal is only noted; `check` raises it, and leaving the context exits the command.

    A signal that raises at any line could hit the very code that cleans up. A second signal has its usual effect.

    Args:
        outcome: logged after "interrupted; ": what becomes of the work.
        cancel: called at the signal, to end what could wait for ever.
    """

    def __init__(
        self,
        outcome: str = "finished songs are kept, unfinished ones leave no files",
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self._outcome, self._cancel = outcome, cancel
        self._received: int | None = None
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._usual = {  # signals that are ignored stay ignored
            number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)
        }

    @property
    def received(self) -> int | None:
        """The number of the signal that has been received; None if there was none."""
        return self._received

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has been received."""
        if self._received is not None:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        for number in self._usual:
            signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if isinstance(error, KeyboardInterrupt):
            logger.error("interrupted; %s", self._outcome)
            raise Exit(128 + (self._received or signal.SIGINT)) from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()
        self._cancel()

    def _restore(self) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)
