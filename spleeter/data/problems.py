"""Problems of a data set: where each is, what it means for a training, and how they are logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from spleeter.utils.logging import logger

__all__ = ["Problem", "Severity", "log_problems"]

_MAX_LINES = 50
"""Of each severity."""


class Severity(Enum):
    """What a problem means for a training."""

    ERROR = "error"
    """The training does not start, unless songs with problems are to be left out."""
    DISCARDED = "left out"
    """The song is left out, as the original does, and counted."""
    WARNING = "warning"
    """The song is used."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data set.

    Args:
        severity: what it means for a training.
        place: file, line and song, such as "train.csv, line 7 (Sodium)".
        message: what is wrong, and how to fix it where that is not plain.
    """

    severity: Severity
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def log_problems(problems: Iterable[Problem]) -> int:
    """Log problems: errors, songs that are left out with their number, warnings. Returns the number of errors."""
    problems = list(problems)
    errors, discarded, warnings = (
        [problem for problem in problems if problem.severity is severity] for severity in Severity
    )
    _log(errors, logger.error)
    if discarded:
        n_songs = len({problem.place for problem in discarded})
        logger.warning("%d song%s left out:", n_songs, " is" if n_songs == 1 else "s are")
        _log(discarded, logger.warning)
    _log(warnings, logger.warning)
    return len(errors)


def _log(problems: list[Problem], log: Callable[[str], None]) -> None:
    for problem in problems[:_MAX_LINES]:
        log(str(problem))
    if len(problems) > _MAX_LINES:
        log(f"... and {len(problems) - _MAX_LINES} more of this kind")
