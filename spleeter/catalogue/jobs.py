"""Jobs of a batch: a song and its output paths each, checked for conflicts before any work, run in threads."""

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

from spleeter.catalogue.songs import Failure, Song
from spleeter.errors import OutputError
from spleeter.pipeline.options import Output
from spleeter.utils.logging import log_failure
from spleeter.utils.names import display_name

__all__ = ["Job", "plan_jobs", "run_jobs", "songs_in_parallel"]

_Outcome: TypeAlias = tuple[int, Failure | BaseException | None]
"""Index of a job, and its failure, or the exception that ends the batch, or None if the song was separated."""


@dataclass(frozen=True)
class Job:
    """A song, and the path of each of its outputs by name, of its plot too if there is to be one."""

    song: Path
    outputs: Mapping[str, Path]


def plan_jobs(songs: Iterable[Song], destination: Path, output: Output, instruments: tuple[str, ...]) -> list[Job]:
    """Plan the output paths of every song.

    Songs found in a folder that are outputs of another song are left out.

    Args:
        songs: to separate.
        destination: folder of the outputs.
        output: what is written for each song.
        instruments: of the model.

    Raises:
        OutputError: if two songs would write one path, one would overwrite another, or `output` does not fit the
            instruments.
    """
    jobs = {song: Job(song.path, output.paths(song.path, destination, instruments)) for song in songs}
    writers = {_identity(path): job for job in jobs.values() for path in job.outputs.values()}
    kept = [job for song, job in jobs.items() if song.is_named or writers.get(_identity(job.song), job) is job]
    _check_conflicts(kept)
    return kept


def _check_conflicts(jobs: Iterable[Job]) -> None:
    jobs = list(jobs)
    inputs = {_identity(job.song): job.song for job in jobs}
    writers: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs.values():
            identity = _identity(path)
            if identity in inputs:
                raise OutputError(
                    f"an output of {display_name(job.song)} would overwrite the input "
                    f"{display_name(inputs[identity])}; choose another output folder or filename format"
                )
            if identity in writers:
                raise OutputError(
                    f"{display_name(writers[identity])} and {display_name(job.song)} would both write "
                    f"{display_name(path)}; separate them into different output folders, or choose a filename format "
                    "that keeps them apart, such as -f '{foldername}/{filename}/{instrument}.{codec}'"
                )
            writers[identity] = job.song


def _identity(path: Path) -> str:
    """A key that is equal for paths that may be one file, on file systems that ignore case and Unicode forms too."""
    resolved = os.path.normcase(os.path.realpath(path))
    return unicodedata.normalize("NFC", resolved).casefold() if sys.platform == "darwin" else resolved


def songs_in_parallel(device_kind: str) -> int:
    """The number of songs to separate at the same time, so that the device never waits.

    One song keeps a CPU busy: decoding and encoding run beside the network. A CUDA device computes several songs in
    a batch, and needs as many decoders and encoders to keep up with it.

    Args:
        device_kind: "cpu", "cuda" or "mps".
    """
    return max(2, min(8, os.cpu_count() or 1)) if device_kind == "cuda" else 1


def run_jobs(jobs: Iterable[Job], separate: Callable[[Job], object], n_parallel: int = 1) -> list[Failure]:
    """Run jobs in `n_parallel` threads; a song that fails is logged, and the others go on.

    Args:
        jobs: to run, in this order.
        separate: separates the song of a job. An Exception is that song's failure; any other BaseException, such as
            KeyboardInterrupt, ends the batch and is raised here once the songs that have begun have ended.
        n_parallel: songs at the same time.

    Returns:
        The failures, in the order of the jobs.
    """
    numbered = dict(enumerate(jobs))
    outcomes: SimpleQueue[_Outcome] = SimpleQueue()

    def run_one(number: int, job: Job) -> None:
        outcome: Failure | BaseException | None = None
        try:
            try:
                separate(job)
            except Exception as error:
                outcome = Failure(job.song, log_failure(error, display_name(job.song)))
        except BaseException as error:  # the waiting thread raises it
            outcome = error
        outcomes.put((number, outcome))

    with ThreadPoolExecutor(n_parallel, thread_name_prefix="spleeter-song") as threads:
        try:
            for number, job in numbered.items():
                threads.submit(run_one, number, job)
            failures = dict(_next_outcome(outcomes) for _ in numbered)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    return [failure for number in numbered if (failure := failures[number])]


def _next_outcome(outcomes: SimpleQueue[_Outcome]) -> tuple[int, Failure | None]:
    """Wait until a job has ended; raise what ends the batch."""
    while True:
        with suppress(Empty):
            # Short timeouts, because on some systems Ctrl-C does not interrupt a longer wait.
            number, outcome = outcomes.get(timeout=0.5)
            if isinstance(outcome, BaseException):
                raise outcome
            return number, outcome
