"""The package's one logger: silent about details unless asked to be verbose."""

import logging

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

logger: logging.Logger = logging.getLogger("spleeter")


def configure_logger(verbose: bool) -> None:
    """Show debug messages if `verbose`, warnings and notes otherwise."""
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def get_logger() -> logging.Logger:
    """The package's logger; `logger` itself. The original 1.x's, as the following."""
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
