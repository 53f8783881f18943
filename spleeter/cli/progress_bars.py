"""Progress bars for downloads, songs and batches of songs; where stderr is no terminal, a line for each song."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from spleeter.cli.console import console
from spleeter.utils.logging import logger

if TYPE_CHECKING:
    import rich.progress

    from spleeter.model.provider import ModelProvider
    from spleeter.separator import Progress

__all__ = ["BatchBars", "count_bar", "download_bar", "fetch_model"]

_ESTIMATE_PERIOD = 600
"""Seconds that the time left is estimated from: songs of a batch are finished minutes apart."""


class BatchBars:
    """A bar for a batch of songs and one for each song in work; songs may be separated in several threads.

    Where stderr is no terminal there is a line for each song instead, once it is finished.

    Args:
        n_songs: in the batch.
        check: called whenever there is progress; what it raises stops the song.
    """

    def __init__(self, n_songs: int, check: Callable[[], None]) -> None:
        self._n_songs = n_songs
        self._check = check
        self._bars = _batch_bars() if console().is_terminal else None
        self._counting = Lock()
        self.n_finished = 0
        """The songs that were finished without an error."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Show the bars within this context."""
        if self._bars is None:
            yield
            return
        with self._bars:
            if self._n_songs > 1:
                self._batch_task = self._bars.add_task(f"{self._n_songs} songs", total=self._n_songs)
            yield

    @contextmanager
    def song(self, name: str) -> Iterator[Progress]:
        """Show a song's bar within this context; yields a callback for the separator."""
        self._check()
        start = time.monotonic()
        with self._song_bar(name) as update:

            def progress(done: int, total: int | None) -> None:
                self._check()
                update(done, total)

            yield progress
        with self._counting:
            self.n_finished += 1
            number = self.n_finished
        if self._bars is None:
            of_batch = f" ({number} of {self._n_songs})" if self._n_songs > 1 else ""
            logger.info("%s: finished in %.1f s%s", name, time.monotonic() - start, of_batch)

    @contextmanager
    def _song_bar(self, name: str) -> Iterator[Progress]:
        """Show a song's progress in its own bar, and as the batch's of part of a song."""
        bars = self._bars
        if bars is None:
            yield lambda done, total: None
            return
        task = bars.add_task(name, total=None)
        advanced = 0.0

        def update(done: int, total: int | None) -> None:
            nonlocal advanced
            bars.update(task, completed=done, total=total and max(done, total))
            if total and self._n_songs > 1:
                share = min(done / total, 1.0)
                bars.advance(self._batch_task, share - advanced)
                advanced = share

        try:
            yield update
        finally:
            bars.remove_task(task)
            if self._n_songs > 1:
                bars.advance(self._batch_task, 1.0 - advanced)


def _batch_bars() -> rich.progress.Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(max_width=40, no_wrap=True)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console(),
        transient=True,
        speed_estimate_period=_ESTIMATE_PERIOD,
    )


@contextmanager
def count_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar that counts to `total`, labelled `what`; yields a callback for the number done."""
    if not console().is_terminal:
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)


def fetch_model(name: str) -> None:
    """Download a model unless it is there, behind a progress bar. Raises ModelError."""
    from spleeter.model.provider import ModelProvider

    provider = ModelProvider.default()
    with download_bar(provider, name):
        provider.get(name)


@contextmanager
def download_bar(provider: ModelProvider, name: str) -> Iterator[None]:
    """Show the progress of the provider's downloads of model `name` within this context."""
    if not console().is_terminal:
        yield
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console(), transient=True) as bars:
        task = bars.add_task(name, total=None, visible=False)
        provider.progress = lambda done, total: bars.update(task, completed=done, total=total, visible=True)
        try:
            yield
        finally:
            provider.progress = None
