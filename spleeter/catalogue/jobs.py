"""What is to be done for each song, checked as a whole before any work starts."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from spleeter.audio.codec import Codec
from spleeter.catalogue.songs import Failure, Song
from spleeter.errors import OutputError
from spleeter.pipeline.sink import output_paths, picture_path
from spleeter.utils.logging import log_failure
from spleeter.utils.names import display_name

_Outcome: TypeAlias = tuple[int, Failure | BaseException | None]
"""A song's number, and how it failed, or what is to end the run, or None if it was separated."""


@dataclass(frozen=True)
class Job:
    """A song, and the path of each of its outputs, of the picture too if there is to be one."""

    song: Path
    outputs: Mapping[str, Path]

    @property
    def is_done(self) -> bool:
        """Whether every output is already there."""
        return all(path.is_file() for path in self.outputs.values())


def plan(
    songs: Iterable[Song],
    destination: Path,
    names: Iterable[str],
    codec: Codec,
    filename_format: str,
    with_picture: bool = False,
) -> list[Job]:
    """Give every song its outputs, and a picture of them if asked for.

    Songs found in a folder that are another song's outputs are left out.

    Raises:
        OutputError: if two songs would write one path, or one would overwrite another: nothing has been done yet.
    """
    outputs = tuple(names)

    def job_of(song: Song) -> Job:
        paths = output_paths(song.path, destination, outputs, codec, filename_format)
        if with_picture:
            paths["(picture)"] = picture_path(song.path, destination, filename_format)
        return Job(song.path, paths)

    jobs = {song: job_of(song) for song in songs}
    writers = {_identity(path): job for job in jobs.values() for path in job.outputs.values()}
    kept = [job for song, job in jobs.items() if song.is_named or writers.get(_identity(job.song), job) is job]
    _check_conflicts(kept)
    return kept


def _check_conflicts(jobs: Iterable[Job]) -> None:
    jobs = list(jobs)
    owners = {_identity(job.song): job.song for job in jobs}
    writers: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs.values():
            identity = _identity(path)
            if identity in owners:
                raise OutputError(
                    f"an output of {display_name(job.song)} would overwrite the input "
                    f"{display_name(owners[identity])}; choose another output folder or filename format"
                )
            if identity in writers:
                raise OutputError(
                    f"{display_name(writers[identity])} and {display_name(job.song)} would both write "
                    f"{display_name(path)}; separate them into different output folders, or choose a filename format "
                    "that tells them apart, such as -f '{foldername}/{filename}/{instrument}.{codec}'"
                )
            writers[identity] = job.song


def _identity(path: Path) -> str:
    """The same for paths that may name the same file, on disks that ignore case and forms of Unicode too."""
    resolved = os.path.normcase(os.path.realpath(path))
    return unicodedata.normalize("NFC", resolved).casefold() if sys.platform == "darwin" else resolved


def songs_at_once(device_type: str) -> int:
    """How many songs to separate at a time, so that the device always has something to compute.

    One song keeps a CPU busy: decoding and encoding go on beside the network. A CUDA device takes several songs
    together, and needs as many decoders and encoders to keep up with it.
    """
    return max(2, min(8, os.cpu_count() or 1)) if device_type == "cuda" else 1


def run(jobs: Iterable[Job], separate: Callable[[Job], object], n_at_once: int = 1) -> list[Failure]:
    """Separate songs, `n_at_once` at a time in threads; one that fails is reported and the others go on.

    Whatever ends the run, such as KeyboardInterrupt, is raised here once the songs that were begun have ended.
    """
    numbered = dict(enumerate(jobs))
    outcomes: SimpleQueue[_Outcome] = SimpleQueue()
    with ThreadPoolExecutor(n_at_once, thread_name_prefix="spleeter-song") as threads:
        try:
            for number, job in numbered.items():
                threads.submit(_work_off, separate, number, job, outcomes)
            failures = dict(_next(outcomes) for _ in numbered)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    return [failure for number in numbered if (failure := failures[number])]


def _work_off(separate: Callable[[Job], object], number: int, job: Job, outcomes: SimpleQueue[_Outcome]) -> None:
    try:
        outcomes.put((number, _failure_of(separate, job)))
    except BaseException as error:  # whatever it is, the thread that waits is the one to know
        outcomes.put((number, error))


def _next(outcomes: SimpleQueue[_Outcome]) -> tuple[int, Failure | None]:
    """Wait for a song to end; raise what ends the run."""
    while True:
        with suppress(Empty):
            # In short turns, because a thread that waits for longer does not hear of Ctrl-C on every system.
            number, outcome = outcomes.get(timeout=0.5)
            if isinstance(outcome, BaseException):
                raise outcome
            return number, outcome


def _failure_of(separate: Callable[[Job], object], job: Job) -> Failure | None:
    try:
        separate(job)
    except Exception as error:
        return Failure(job.song, log_failure(error, display_name(job.song)))
    return None
