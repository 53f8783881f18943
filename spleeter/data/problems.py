"""What is wrong with a data set, and how it is told: all at once, each where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from spleeter.utils.logging import logger

_MOST_LINES = 50


class Severity(Enum):
    """What a problem means for a training."""

    ERROR = "error"
    """It does not start, unless songs with problems are to be left out."""
    DISCARDED = "left out"
    """The song is left out, as the original does, and counted."""
    WARNING = "warning"
    """The song is used."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        severity: what it means for a training.
        place: where it is: file, line and song, such as "train.csv, line 7 (Sodium)".
        what: was wrong, and what to do where that is not plain.
    """

    severity: Severity
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def tell(problems: Iterable[Problem]) -> int:
    """Log what is wrong, errors first, with the number of songs that are left out; returns that of the errors."""
    problems = list(problems)
    errors, discarded, warnings = (
        [problem for problem in problems if problem.severity is severity] for severity in Severity
    )
    _tell_some(errors, logger.error)
    if discarded:
        n_songs = len({problem.place for problem in discarded})
        logger.warning("%d song%s left out:", n_songs, " is" if n_songs == 1 else "s are")
        _tell_some(discarded, logger.warning)
    _tell_some(warnings, logger.warning)
    return len(errors)


def _tell_some(problems: list[Problem], log: Callable[[str], None]) -> None:
    for problem in problems[:_MOST_LINES]:
        log(str(problem))
    if len(problems) > _MOST_LINES:
        log(f"... and {len(problems) - _MOST_LINES} more of this kind")


def usable(places: Iterable[str], problems: Iterable[Problem]) -> set[str]:
    """Those of some places at which nothing worse than a warning was found."""
    return set(places) - {problem.place for problem in problems if problem.severity is not Severity.WARNING}
