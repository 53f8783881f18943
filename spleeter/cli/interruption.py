"""Ctrl-C, SIGTERM and SIGHUP, noted when they arrive and raised where cleaning up is safe."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn, Self

from typer import Exit

from spleeter.utils.logging import logger

__all__ = ["Interruption"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_CUT_SHORT = "no time to clean up: hidden .spleeter-*.part may be left beside the outputs; the next run removes them"


class Interruption:
    """Within this context a signal is only noted; `check` raises it, and leaving the context exits the command.

    A signal that raises at any line could hit the very code that cleans up. A second signal has its usual effect.

    Args:
        outcome: returns what is logged after "interrupted; ": what has become of the work, once it is cleaned up.
        cancel: called at the signal, to end what could wait for ever.
    """

    def __init__(self, outcome: Callable[[], str], cancel: Callable[[], None] = lambda: None) -> None:
        self._outcome, self._cancel = outcome, cancel
        self._received: int | None = None
        self._was_cut_short = False
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
            outcome = _CUT_SHORT if self._was_cut_short else self._outcome()
            logger.error("interrupted; %s", outcome)
            raise Exit(128 + (self._received or signal.SIGINT)) from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()
        if number == signal.SIGINT and self._usual.get(number) is signal.default_int_handler:
            signal.signal(number, self._cut_short)
        self._cancel()

    def _cut_short(self, number: int, frame: FrameType | None) -> NoReturn:
        self._was_cut_short = True
        raise KeyboardInterrupt

    def _restore(self) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)
