"""The batch of `spleeter separate`: songs found and checked before a model is loaded, separated, and reported."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from typer import BadParameter

from spleeter.audio.reader import cancel_readers
from spleeter.catalogue.finished import unfinished_jobs
from spleeter.catalogue.jobs import Job, plan_jobs, run_jobs, songs_in_parallel
from spleeter.catalogue.songs import Failure, FoundSongs, Song, check_song
from spleeter.cli.console import print_on_terminal, usage_errors
from spleeter.cli.interruption import Interruption
from spleeter.cli.progress_bars import BatchBars, count_bar, fetch_model
from spleeter.cli.separation_options import SeparationOptions
from spleeter.cli.streams import STDIN, open_stdin, open_stdout, print_written, quiet_if_unread
from spleeter.errors import DecodeError, OutputError
from spleeter.pipeline.options import Input, Output
from spleeter.utils.logging import log_failure, logger
from spleeter.utils.names import display_name

if TYPE_CHECKING:
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.separator import Separator

__all__ = ["Batch"]


@dataclass(frozen=True)
class Batch:
    """What one command separates.

    Attributes:
        found: its songs, of which `STDIN` is standard input, and inputs that are none.
        folder: of the outputs; None writes the only output of the only song to standard output.
        offset: where to start in each song, in seconds.
        duration: how much to separate of each at most, in seconds; None takes the whole song.
        source: what is read of a song's file.
        output: what is written, and how.
        options: model, quality and device.
        adapter: reads and writes the files.
        skip_existing: whether songs whose outputs are all there, and complete, are skipped.
        n_parallel: songs at the same time; None leaves it to the device.
    """

    found: FoundSongs
    folder: Path | None
    offset: float
    duration: float | None
    source: Input
    output: Output
    options: SeparationOptions
    adapter: AudioAdapter
    skip_existing: bool
    n_parallel: int | None

    def run(self) -> list[Failure]:
        """Separate the songs; returns the inputs that failed. Exits with code 2 where nothing can be begun."""
        songs, failures = self.found.songs, self.found.failures
        with usage_errors():
            configuration = self.options.configure()
            planned = self._plan(songs, configuration.instrument_list)
            opened = {STDIN: open_stdin()} if any(song.path == STDIN for song in songs) else {}
        skips = self.skip_existing and self.folder is not None
        todo = self._unfinished(planned) if skips else planned
        readable, unreadable = self._without_unreadable(todo, opened)
        failures = [*failures, *unreadable]
        if readable:
            print_on_terminal(f"{_count(len(todo), 'song')} into {display_name(self.folder or 'standard output')}")
            with usage_errors():
                separator = self.options.open_separator()
            fetch_model(configuration.model_dir)
            separator.load()
            print_on_terminal(f"{self.options.model} on {separator.device}")
            failures += self._separate(readable, opened, separator)
        self._report(failures, len(planned) + len(self.found.failures), len(planned) - len(todo))
        return failures

    def _plan(self, songs: Sequence[Song], instruments: tuple[str, ...]) -> list[Job]:
        """A job for each song. Raises OutputError, BadParameter if the outputs cannot be written where they shall."""
        if self.folder is None:
            names = self.output.select(instruments).names
            if len(songs) > 1 or len(names) > 1 or self.output.plot:
                outputs = [*names, *(["a plot"] if self.output.plot else [])]
                given = f"{', '.join(outputs)} of {_count(len(songs), 'song')}"
                raise BadParameter(
                    f"- takes one output of one song, not {given}; choose with --stems", param_hint="--output"
                )
            open_stdout()  # raises if it is a terminal
            return [Job(song.path, {name: Path("-") for name in names}) for song in songs]
        _check_folder(self.folder)
        return plan_jobs(songs, self.folder, self.output, instruments)

    def _unfinished(self, jobs: Sequence[Job]) -> list[Job]:
        with count_bar("looking at the outputs", len(jobs)) as update:
            return unfinished_jobs(jobs, self.offset, self.duration, lambda done, total: update(done))

    def _without_unreadable(
        self, jobs: Sequence[Job], opened: Mapping[Path, BinaryIO]
    ) -> tuple[Sequence[Job], list[Failure]]:
        """The jobs from the first song on that can be read, so that a model is only loaded for something."""
        from spleeter.audio.pyav import PyAVAudioAdapter

        failures: list[Failure] = []
        if not isinstance(self.adapter, PyAVAudioAdapter):
            return jobs, failures
        for number, job in enumerate(jobs):
            try:
                check_song(opened.get(job.song, job.song), self.source.stream)
            except DecodeError as error:
                failures.append(Failure(job.song, log_failure(error, display_name(job.song))))
            else:
                return jobs[number:], failures
        return [], failures

    def _separate(self, jobs: Sequence[Job], opened: Mapping[Path, BinaryIO], separator: Separator) -> list[Failure]:
        interruption = Interruption(
            lambda: f"{bars.n_finished} of {_count(len(jobs), 'song')} finished, the rest left no files",
            cancel=cancel_readers,
        )
        bars = BatchBars(len(jobs), interruption.check)

        def separate_one(job: Job) -> None:
            targets = job.outputs if self.folder is not None else dict.fromkeys(job.outputs, open_stdout())
            song = opened.get(job.song, job.song)
            with quiet_if_unread(), bars.song(display_name(job.song.name)) as progress:
                separator.separate_to_file(
                    song,
                    targets,
                    self.adapter,
                    self.offset,
                    self.duration,
                    output=self.output,
                    source=self.source,
                    progress=progress,
                )
            if self.folder is not None:
                print_written(job.outputs.values())

        with interruption, bars.batch():
            return run_jobs(jobs, separate_one, self.n_parallel or songs_in_parallel(separator.device.kind))

    def _report(self, failures: Sequence[Failure], n_inputs: int, n_skipped: int) -> None:
        """Report the outcome: failures always, what was written on a terminal only."""
        if failures and n_inputs > 1:
            reasons = "".join(f"\n  {failure.reason}" for failure in failures)
            logger.error("%d of %d failed:%s", len(failures), n_inputs, reasons)
        n_done = n_inputs - n_skipped - len(failures)
        if n_done or n_skipped:
            skipped = f", {n_skipped} already there" if n_skipped else ""
            where = display_name(self.folder or "standard output")
            print_on_terminal(f"{_count(n_done, 'song')} separated into {where}{skipped}")


def _check_folder(folder: Path) -> None:
    """Raise OutputError unless files can be made in a folder, or in the one above it that exists."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    what = "it is not a folder"
    with suppress(OSError):
        if existing.is_dir():
            if os.access(existing, os.W_OK | os.X_OK):
                return
            what = "Permission denied, or a read-only disk"
    raise OutputError(
        f"cannot write into the output folder {display_name(folder)}: {display_name(existing)}: {what}; "
        "choose another one with --output"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
