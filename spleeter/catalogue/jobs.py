"""What is to be done for each song, checked as a whole before any work starts."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from spleeter.audio.codec import Codec
from spleeter.catalogue.songs import Failure, Song
from spleeter.errors import OutputError, SpleeterError
from spleeter.output import output_paths
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name


@dataclass(frozen=True)
class Job:
    """A song, and the path of each of its outputs."""

    song: Path
    outputs: Mapping[str, Path]

    @property
    def is_done(self) -> bool:
        """Whether every output is already there."""
        return all(path.is_file() for path in self.outputs.values())


def plan(
    songs: Iterable[Song], destination: Path, names: Iterable[str], codec: Codec, filename_format: str
) -> list[Job]:
    """Give every song its outputs. Songs found in a folder that are another song's outputs are left out.

    Raises:
        OutputError: if two songs would write one path, or one would overwrite another: nothing has been done yet.
    """
    outputs = tuple(names)
    jobs = {
        song: Job(song.path, output_paths(song.path, destination, outputs, codec, filename_format)) for song in songs
    }
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
    with ThreadPoolExecutor(n_at_once, thread_name_prefix="spleeter-song") as threads:
        results = [threads.submit(_failure_of, separate, job) for job in jobs]
        try:
            # In short turns, because a thread that waits for longer does not hear of Ctrl-C on every system.
            while wait(results, timeout=0.5, return_when=FIRST_EXCEPTION).not_done and not _broken_off(results):
                pass
            return [failure for result in results if (failure := result.result())]
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _broken_off(results: Iterable[Future[Failure | None]]) -> bool:
    return any(result.done() and result.exception() is not None for result in results)


def _failure_of(separate: Callable[[Job], object], job: Job) -> Failure | None:
    try:
        separate(job)
    except SpleeterError as error:
        return _failure(job.song, str(error))
    except Exception as error:
        return _failure(job.song, f"unexpected {type(error).__name__}: {error}")
    return None


def _failure(song: Path, reason: str) -> Failure:
    reason, name = " ".join(reason.split()), display_name(song)
    reason = reason if name in reason else f"{name}: {reason}"
    logger.error(reason)
    logger.debug("details of the failure", exc_info=True)
    return Failure(song, reason)
