"""What the commands say, and where: all on stderr, progress bars on a terminal only."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from spleeter.utils.logging import configure_logger, logger

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red"}


@cache
def console() -> Console:
    """The one console on stderr, which progress bars and messages share."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def tell_on_terminal(message: str) -> None:
    """Print a line that only a person at a terminal wants."""
    if console().is_terminal:
        console().print(message, markup=False)


class _ConsoleHandler(logging.Handler):
    """Prints records one a line, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text

        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        console().print(Text(prefix + self.format(record), style=_STYLES.get(record.levelno, "")))


def configure_messages(verbose: bool) -> None:
    """Send the package's messages to the console, with details if `verbose`."""
    configure_logger(verbose)
    if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
        logger.addHandler(_ConsoleHandler())
        logger.propagate = False


def silence_messages() -> None:
    """Let errors through only, from now on: of several processes that do one thing, one is to report."""
    logger.setLevel(logging.ERROR)
