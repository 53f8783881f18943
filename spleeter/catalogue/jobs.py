"""What is to be done for each song, checked as a whole before any work starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spleeter.audio.codec import Codec
from spleeter.catalogue.songs import Failure
from spleeter.errors import OutputError, SpleeterError
from spleeter.output import output_paths
from spleeter.utils.logging import logger


@dataclass(frozen=True)
class Job:
    """A song, and the path of each of its outputs."""

    song: Path
    outputs: Mapping[str, Path]

    @property
    def is_done(self) -> bool:
        """Whether every output is already there."""
        return all(path.exists() for path in self.outputs.values())


def plan(
    songs: Iterable[Path], destination: Path, names: Iterable[str], codec: Codec, filename_format: str
) -> list[Job]:
    """Give every song its outputs.

    Raises:
        OutputError: if two songs would write one path, or one would overwrite another: nothing has been done yet.
    """
    outputs = tuple(names)
    jobs = [Job(song, output_paths(song, destination, outputs, codec, filename_format)) for song in songs]
    owners = {_identity(job.song): job.song for job in jobs}
    writers: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs.values():
            identity = _identity(path)
            if identity in owners:
                raise OutputError(
                    f"an output of {job.song} would overwrite the input {owners[identity]}; choose another "
                    "output folder or filename format"
                )
            if identity in writers:
                raise OutputError(
                    f"{writers[identity]} and {job.song} would both write {path}; separate them one by one into "
                    "different output folders, or put {foldername} into the filename format"
                )
            writers[identity] = job.song
    return jobs


def _identity(path: Path) -> str:
    """The same for paths that name the same file, where the platform ignores case too."""
    return os.path.normcase(path.resolve())


def run(jobs: Iterable[Job], separate: Callable[[Job], object]) -> list[Failure]:
    """Separate song after song; one that fails is reported and the others go on."""
    failures: list[Failure] = []
    for job in jobs:
        try:
            separate(job)
        except SpleeterError as error:
            failures.append(_failure(job.song, str(error)))
        except Exception as error:
            failures.append(_failure(job.song, f"unexpected {type(error).__name__}: {error}"))
    return failures


def _failure(song: Path, reason: str) -> Failure:
    reason = " ".join(reason.split())
    reason = reason if str(song) in reason else f"{song}: {reason}"
    logger.error(reason)
    logger.debug("details of the failure", exc_info=True)
    return Failure(song, reason)
