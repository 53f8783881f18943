"""From a configuration to the excerpts that it trains and validates on, if its songs are fit for it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.batches import Excerpts
from spleeter.data.excerpts import ExcerptCache, SongExcerpts
from spleeter.data.inspection import Inspection, shared_songs
from spleeter.data.lists import SongList, lists_of
from spleeter.data.problems import Problem, tell, usable
from spleeter.data.song_list import Song, read
from spleeter.errors import DatasetError
from spleeter.training.watcher import Watcher


@dataclass(frozen=True)
class DataSet:
    """What is trained and validated on.

    Args:
        training: never empty.
        validation: None if there is none.
    """

    training: Excerpts
    validation: Excerpts | None


def prepare(
    configuration: Configuration,
    stack: ExitStack,
    data: Path | None,
    adapter: AudioAdapter | None,
    skip_bad: bool,
    n_processes: int,
    watcher: Watcher,
) -> DataSet:
    """Have all songs inspected and their excerpts at hand. Everything that is wrong is logged, before it fails.

    Args:
        configuration: names the lists of songs and the caches.
        stack: closes what is not to be kept: excerpts without a cache.
        data: folder that the paths in the lists are below; None for the lists' own.
        adapter: reads sound files; None takes the default.
        skip_bad: leave out songs with problems, rather than fail.
        n_processes: that train together, and share the caches.
        watcher: is told how far it is.

    Raises:
        DatasetError: if there is no list, songs have problems, none is left, or a cache cannot be written.
    """
    lists = lists_of(configuration)
    if n_processes > 1 and not all(each.cache for each in lists):
        raise DatasetError("several processes share the excerpts: set training_cache and validation_cache")
    read_lists = [read(each.csv, configuration, data) for each in lists]
    problems = [problem for _, found in read_lists for problem in found]
    made = []
    for each, (songs, _) in zip(lists, read_lists, strict=True):
        excerpts, found = _build(each, songs, configuration, stack, adapter, watcher)
        made.append(excerpts)
        problems += found
    training, validation = made[0], made[1] if len(made) > 1 else []
    problems += shared_songs(_inspected(training), _inspected(validation))
    if (n_errors := tell(problems)) and not skip_bad:
        raise DatasetError(f"{n_errors} problems, listed above: mend them, or leave those songs out (--skip_bad)")
    good = usable((song.song.place for song in training), problems)
    return _data_set(configuration, [song for song in training if song.song.place in good], validation)


def _build(
    listed: SongList,
    songs: list[Song],
    configuration: Configuration,
    stack: ExitStack,
    adapter: AudioAdapter | None,
    watcher: Watcher,
) -> tuple[list[SongExcerpts], list[Problem]]:
    """Excerpts of the songs of a list; in a temporary folder if the configuration names no cache."""
    if not songs:
        return [], []
    folder = listed.cache or stack.enter_context(TemporaryDirectory(prefix="spleeter-"))
    cache = ExcerptCache(Path(folder), listed.cut, configuration, adapter)
    return cache.build(songs, partial(watcher.preparing, listed.name))


def _inspected(songs: list[SongExcerpts]) -> list[tuple[Song, Inspection]]:
    return [(song.song, song.inspection) for song in songs]


def _data_set(configuration: Configuration, training: list[SongExcerpts], validation: list[SongExcerpts]) -> DataSet:
    if not training:
        raise DatasetError(f"{configuration.train_csv}: no song is left to train on")
    if configuration.validation_csv is not None and not validation:
        raise DatasetError(f"{configuration.validation_csv}: no song is left to validate on")
    return DataSet(Excerpts(training, configuration), Excerpts(validation, configuration) if validation else None)
