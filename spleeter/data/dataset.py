"""A configuration -> the excerpts that it trains and validates on, after all its songs were inspected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.batches import SegmentSampler
from spleeter.data.excerpts import Cut, ExcerptCache, SongExcerpts
from spleeter.data.inspection import shared_songs
from spleeter.data.problems import Severity, log_problems
from spleeter.data.song_list import read_song_list
from spleeter.errors import DatasetError
from spleeter.utils.hidden_folder import HiddenFolder
from spleeter.utils.logging import logger
from spleeter.utils.names import reason
from spleeter.utils.temporary import temporary_folder

__all__ = ["DataSet", "Split", "open_dataset", "splits_of"]


@dataclass(frozen=True)
class Split:
    """The training or the validation songs of a configuration.

    Args:
        name: "training songs" or "validation songs".
        csv: the list of them.
        cache: folder that their excerpts are kept in; None for a temporary one.
        cut: the excerpts that are cut out of each song.
    """

    name: str
    csv: Path
    cache: Path | None
    cut: Cut


@dataclass(frozen=True)
class DataSet:
    """The excerpts of a training: never empty; validation is None if the configuration has no validation songs."""

    training: SegmentSampler
    validation: SegmentSampler | None


def splits_of(configuration: Configuration) -> list[Split]:
    """The training songs and, if there are any, the validation songs that a configuration names.

    Raises:
        DatasetError: if it names no training songs, one folder for both caches, or excerpts shorter than a segment.
    """
    if configuration.train_csv is None:
        raise DatasetError("the configuration has no train_csv: name the list of songs to train on")
    caches = [
        Path(cache) if cache else None for cache in (configuration.training_cache, configuration.validation_cache)
    ]
    cut = Cut.for_training(configuration)
    training = Split("training songs", Path(configuration.train_csv), caches[0], cut)
    if configuration.validation_csv is None:
        logger.warning("the configuration has no validation_csv: the last weights will be kept, not the best")
        return [training]
    if caches[0] and caches[1] and caches[0].resolve() == caches[1].resolve():
        raise DatasetError("training_cache and validation_cache are the same folder: give each its own")
    cut = Cut.for_validation(configuration)
    return [training, Split("validation songs", Path(configuration.validation_csv), caches[1], cut)]


@contextmanager
def open_dataset(
    configuration: Configuration,
    *,
    data: Path | None = None,
    adapter: AudioAdapter | None = None,
    skip_bad: bool = False,
    n_processes: int = 1,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Iterator[DataSet]:
    """Inspect all songs and cache their excerpts, for use within this context. All problems are logged.

    Args:
        configuration: names the lists of songs and the caches.
        data: folder that the paths in the lists are relative to; None for the folder of each list.
        adapter: reads audio files; None takes the default.
        skip_bad: leave out songs with problems, rather than fail.
        n_processes: that train together, and share the caches.
        progress: called with a split's name, its songs that are done, and all its songs; may raise to stop.

    Raises:
        DatasetError: if there is no list, songs have problems, none is left, or a cache cannot be written.
    """
    splits = splits_of(configuration)
    if n_processes > 1 and not all(split.cache for split in splits):
        raise DatasetError("several processes share the excerpts: set training_cache and validation_cache")
    listed = [read_song_list(split.csv, configuration, data) for split in splits]
    problems = [problem for _, found in listed for problem in found]
    excerpts: list[list[SongExcerpts]] = []
    with ExitStack() as stack:
        for split, (songs, _) in zip(splits, listed, strict=True):
            if not songs:
                excerpts.append([])
                continue
            folder = split.cache or stack.enter_context(_temporary_cache())
            cache = ExcerptCache(folder, split.cut, configuration, adapter)
            made, found = stack.enter_context(cache.build(songs, partial(progress, split.name)))
            excerpts.append(made)
            problems += found
        training, validation = excerpts[0], excerpts[1] if len(excerpts) > 1 else []
        inspected = [[(song.song, song.inspection) for song in songs] for songs in (training, validation)]
        problems += shared_songs(*inspected)
        if (n_errors := log_problems(problems)) and not skip_bad:
            number = "1 problem" if n_errors == 1 else f"{n_errors} problems"
            raise DatasetError(f"{number}, listed above: fix them, or leave those songs out (--skip-bad)")
        if n_errors:
            n_songs = len({problem.place for problem in problems if problem.severity is Severity.ERROR})
            logger.warning(
                "%s left out", "1 song with errors is" if n_songs == 1 else f"{n_songs} songs with errors are"
            )
        bad = {problem.place for problem in problems if problem.severity is not Severity.WARNING}
        yield _dataset(configuration, [song for song in training if song.song.place not in bad], validation)


@contextmanager
def _temporary_cache() -> Iterator[Path]:
    """A folder for this context. Of a process that is killed, the next one removes it."""
    try:
        hidden = HiddenFolder(temporary_folder())
    except OSError as error:
        raise DatasetError(f"cannot keep excerpts in a temporary folder: {reason(error)}") from error
    try:
        yield hidden.path
    finally:
        hidden.remove()


def _dataset(configuration: Configuration, training: list[SongExcerpts], validation: list[SongExcerpts]) -> DataSet:
    if not training:
        raise DatasetError(f"{configuration.train_csv}: no song is left to train on")
    if configuration.validation_csv is None:
        return DataSet(SegmentSampler(training, configuration), None)
    if not validation:
        raise DatasetError(f"{configuration.validation_csv}: no song is left to validate on")
    return DataSet(SegmentSampler(training, configuration), SegmentSampler(validation, configuration))
