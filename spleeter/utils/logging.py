"""The package's one logger: silent about details unless asked to be verbose."""

import logging
from contextlib import suppress

from spleeter.errors import SpleeterError

__all__ = [
    "configure_logger",
    "enable_logging",
    "enable_tensorflow_logging",
    "enable_verbose_logging",
    "get_logger",
    "log_failure",
    "logger",
]


class _Logger(logging.Logger):
    """A logger whose messages may get lost: on a full disk, in a closed stream, or where nobody reads them."""

    def handle(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            super().handle(record)


logger: logging.Logger = logging.getLogger("spleeter")
logger.__class__ = _Logger  # it may have been made before, by a program that configures it


def configure_logger(verbose: bool) -> None:
    """Show debug messages if `verbose`, warnings and notes otherwise."""
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def get_logger() -> logging.Logger:
    """The package's logger. This and the following three are functions of the original 1.x."""
    return logger


def enable_logging() -> None:
    """Show warnings and notes."""
    configure_logger(verbose=False)


def enable_verbose_logging() -> None:
    """Show debug messages."""
    configure_logger(verbose=True)


enable_tensorflow_logging = enable_verbose_logging


def log_failure(error: Exception, name: str) -> str:
    """Log why one of several items failed, in one line that names it; returns that line. Call it in the handler."""
    message = str(error) if isinstance(error, SpleeterError) else f"unexpected {type(error).__name__}: {error}"
    message = " ".join(message.split())
    message = message if name in message else f"{name}: {message}"
    logger.error(message)
    logger.debug("details of the failure", exc_info=True)
    return message
