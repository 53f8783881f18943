"""Lists of songs, as CSV files: one song a line, a column for the files of each stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spleeter.configuration import Configuration
from spleeter.tracks import Sound
from spleeter.training.problems import Problem


@dataclass(frozen=True)
class Song:
    """A song of a data set.

    Args:
        name: for messages; the folder or file that its stems lie in.
        place: where it is listed, such as "train.csv, line 7 (Sodium)".
        sounds: of each instrument, and of the mixture if it has files of its own; several are to be summed.
        duration: in seconds, as listed; None if it is not.
    """

    name: str
    place: str
    sounds: Mapping[str, tuple[Sound, ...]]
    duration: float | None
