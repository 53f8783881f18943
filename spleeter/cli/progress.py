"""Progress bars, for downloads, songs and batches; nothing where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spleeter.cli.console import console

if TYPE_CHECKING:
    from rich.progress import Progress

    from spleeter.model.provider import ModelProvider

SongProgress = Callable[[int, int | None], None]


class BatchProgress:
    """Bars for a batch of `n_songs`; use `batch` around the work and `song` around each song.

    `check` is called whenever there is progress, and may raise to stop it.
    """

    def __init__(self, n_songs: int, check: Callable[[], None]) -> None:
        self._n_songs = n_songs
        self._check = check
        self._bars = _bars() if console().is_terminal else None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Show the bars while the batch is worked off."""
        if self._bars is None:
            yield
            return
        with self._bars:
            if self._n_songs > 1:
                self._batch_task = self._bars.add_task(f"{self._n_songs} songs", total=self._n_songs)
            yield

    @contextmanager
    def song(self, name: str) -> Iterator[SongProgress]:
        """Show a song's bar; yields what to call with the samples done and in all."""
        self._check()
        bars = self._bars
        task = bars.add_task(name, total=None) if bars else None

        def tell(done: int, total: int | None) -> None:
            self._check()
            if bars and task is not None:
                bars.update(task, completed=done, total=total and max(done, total))

        try:
            yield tell
        finally:
            if bars and task is not None:
                bars.remove_task(task)
                if self._n_songs > 1:
                    bars.advance(self._batch_task)


def _bars() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(max_width=40, no_wrap=True)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console(),
        transient=True,
    )


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for so many things of a kind; yields what to call with those that are done."""
    if not console().is_terminal:
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)


def fetch_model(name: str) -> None:
    """Have a model at hand, downloaded if need be. Raises ModelError."""
    from spleeter.model.provider import ModelProvider

    provider = ModelProvider.default()
    with download_bar(provider, name):
        provider.get(name)


@contextmanager
def download_bar(provider: ModelProvider, name: str) -> Iterator[None]:
    """Show how far `provider` has come with downloading model `name`; nothing where there is no terminal."""
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
