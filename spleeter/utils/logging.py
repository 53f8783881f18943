"""The package's one logger: silent about details unless asked to be verbose."""

import logging

from spleeter.errors import SpleeterError

__all__ = ["configure_logger", "log_failure", "logger"]

logger: logging.Logger = logging.getLogger("spleeter")


def configure_logger(verbose: bool) -> None:
    """Show debug messages if `verbose`, warnings and notes otherwise."""
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def log_failure(error: Exception, name: str) -> str:
    """Log why one of several items failed, in one line that names it; returns that line. Call it in the handler."""
    message = str(error) if isinstance(error, SpleeterError) else f"unexpected {type(error).__name__}: {error}"
    message = " ".join(message.split())
    message = message if name in message else f"{name}: {message}"
    logger.error(message)
    logger.debug("details of the failure", exc_info=True)
    return message
