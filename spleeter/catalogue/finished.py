"""Jobs whose outputs are finished: all there, complete, and as long as the song. The others remain to be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from spleeter.audio.completeness import complete_length
from spleeter.catalogue.jobs import Job
from spleeter.errors import DecodeError
from spleeter.pipeline.paths import PLOT
from spleeter.utils.hidden_folder import remove_leftovers
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name
from spleeter.utils.parallel import in_parallel

__all__ = ["output_flaw", "unfinished_jobs"]

_LENGTH_TOLERANCE = 0.25
"""Seconds that stems may be shorter than the song's header says: encoders' padding, which some headers count."""


def unfinished_jobs(
    jobs: Sequence[Job],
    offset: float = 0.0,
    duration: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Job]:
    """The jobs that remain to be done: those of which an output is missing, incomplete or too short.

    What is incomplete is logged, once for all. What killed runs have left in the folders of the outputs is removed.

    Args:
        jobs: to look at.
        offset: where in each song its outputs start, in seconds.
        duration: how long they are at most, in seconds; None for the rest of the song.
        progress: called with the number of jobs looked at and of all.
    """
    for folder in {path.parent for job in jobs for path in job.outputs.values()}:
        remove_leftovers(folder)

    def flaw(job: Job) -> str | None:
        are_there = all(path.is_file() for path in job.outputs.values())
        return output_flaw(job, offset, duration) if are_there else ""

    flaws = in_parallel(flaw, jobs, progress)
    if found := [flaw for flaw in flaws if flaw]:
        songs = "a song" if len(found) == 1 else f"{len(found)} songs"
        more = f"; {len(found) - 1} more" if len(found) > 1 else ""
        logger.warning("separating %s again: %s%s", songs, found[0], more)
    return [job for job, flaw in zip(jobs, flaws, strict=True) if flaw is not None]


def output_flaw(job: Job, offset: float = 0.0, duration: float | None = None) -> str | None:
    """Say, in one line, what is wrong with the outputs of a job, which all exist; None if nothing is.

    Args:
        job: to look at.
        offset: where in the song its outputs start, in seconds.
        duration: how long they are at most, in seconds; None for the rest of the song.
    """
    try:
        seconds = {path: complete_length(path).seconds for name, path in job.outputs.items() if name != PLOT}
    except DecodeError as error:
        return str(error)
    if PLOT in job.outputs and not _is_complete_png(job.outputs[PLOT]):
        return f"{display_name(job.outputs[PLOT])} is not a complete image"
    longest = max(seconds.values(), default=0.0)
    for trusts_header in (True, False):  # the slower one where the quicker finds something
        song = _seconds_of_song(job.song, trusts_header)
        expected = max(longest, min(song - offset, inf if duration is None else duration))
        short = [path for path, length in seconds.items() if length < expected - _LENGTH_TOLERANCE]
        if not short:
            return None
    return f"{display_name(short[0])} is {seconds[short[0]]:.1f} s long, not {expected:.1f} s"


def _seconds_of_song(song: Path, trusts_header: bool) -> float:
    """The length of a song, in seconds; 0 if it is not certain. Nothing is read of pipes and devices."""
    if song.is_file():
        with suppress(DecodeError):
            length = complete_length(song, trusts_header=trusts_header)
            return length.seconds if length.is_certain else 0.0
    return 0.0


def _is_complete_png(path: Path) -> bool:
    """Whether a file begins and ends as a PNG image does: with its signature and an empty IEND chunk."""
    with suppress(OSError), path.open("rb") as file:
        begin = file.read(8)
        file.seek(max(0, file.seek(0, 2) - 12))
        return begin == b"\x89PNG\r\n\x1a\n" and file.read()[4:8] == b"IEND"
    return False
