"""The package's one logger: silent about details unless asked to be verbose."""

import logging

from spleeter.errors import SpleeterError

logger: logging.Logger = logging.getLogger("spleeter")


def configure_logger(verbose: bool) -> None:
    """Show debug messages if `verbose`, warnings and notes otherwise."""
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def tell_failure(error: Exception, name: str) -> str:
    """Log why one of several things failed, while it is handled; returns that in one line, in which it is named."""
    told = str(error) if isinstance(error, SpleeterError) else f"unexpected {type(error).__name__}: {error}"
    reason = " ".join(told.split())
    reason = reason if name in reason else f"{name}: {reason}"
    logger.error(reason)
    logger.debug("details of the failure", exc_info=True)
    return reason
