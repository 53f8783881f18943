"""The package's one logger: silent about details unless asked to be verbose."""

import logging

logger: logging.Logger = logging.getLogger("spleeter")


def configure_logger(verbose: bool) -> None:
    """Show debug messages if `verbose`, warnings and notes otherwise."""
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
