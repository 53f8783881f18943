"""Ctrl-C and SIGTERM, taken at a safe moment: what is in the making is removed, what is finished is kept."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

from typer import Exit

from spleeter.utils.logging import logger

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interruption:
    """Within this context a signal is only noted, and `check` raises it where nothing is torn apart.

    A signal that comes at any line could hit the very code that cleans up. A second one has its usual effect.

    Args:
        outcome: what to say about the work when it is interrupted.
    """

    def __init__(self, outcome: str = "songs that were finished are kept, those in work left nothing") -> None:
        self._outcome = outcome
        self._received: int | None = None
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._usual = {  # a signal that was told to be ignored stays so
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

    def _restore(self) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)
