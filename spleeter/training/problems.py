"""What is wrong with a data set, and how it is told: all at once, each where it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


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
