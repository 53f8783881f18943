"""Messages of the commands: log records and usage errors, all on stderr, one line each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from typer import Exit

from spleeter.errors import SpleeterError
from spleeter.utils.logging import configure_logger, logger

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["configure_messages", "console", "print_on_terminal", "silence_messages", "usage_errors"]

_STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red"}


@cache
def console() -> Console:
    """The one console on stderr, shared by progress bars and messages."""
    from rich.console import Console

    class QuietConsole(Console):
        def on_broken_pipe(self) -> None:  # which would end the process
            self.quiet = True

    return QuietConsole(stderr=True, highlight=False, soft_wrap=True)


def print_on_terminal(message: str) -> None:
    """Print a line if stderr is a terminal; scripts do not get it."""
    if console().is_terminal:
        with suppress(OSError, ValueError):
            console().print(message, markup=False)


class _ConsoleHandler(logging.Handler):
    """Prints each log record on a line of its own, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text

        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = Text(prefix + self.format(record), style=_STYLES.get(record.levelno, ""))
        with suppress(OSError, ValueError):  # a message that nobody can read ends no work
            console().print(text)


def configure_messages(verbose: bool) -> None:
    """Print the package's log records on the console; those of level DEBUG if `verbose`."""
    configure_logger(verbose)
    if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
        logger.addHandler(_ConsoleHandler())
        logger.propagate = False


def silence_messages() -> None:
    """Print nothing but errors from now on: for all but one of several processes that train together."""
    logger.setLevel(logging.ERROR)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Log a SpleeterError and exit with code 2: within this context no work has started yet."""
    try:
        yield
    except SpleeterError as error:
        logger.error(" ".join(str(error).split()))
        raise Exit(2) from error
