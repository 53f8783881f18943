"""The lists of songs that a configuration names, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spleeter.configuration import Configuration
from spleeter.data.excerpts import Cut
from spleeter.errors import DatasetError
from spleeter.utils.logging import logger


@dataclass(frozen=True)
class SongList:
    """One of the two lists of songs: what they are, where they are listed and kept, and what is cut out of them."""

    name: str
    csv: Path
    cache: str | None
    cut: Cut


def lists_of(configuration: Configuration) -> list[SongList]:
    """The lists of songs that a configuration names, for training and perhaps for validation.

    Raises:
        DatasetError: if there is none, or what is to be cut out of the songs cannot be.
    """
    if configuration.train_csv is None:
        raise DatasetError("the configuration has no train_csv: name the list of songs to train on")
    lists = [
        SongList(
            "training songs",
            Path(configuration.train_csv),
            configuration.training_cache,
            Cut.for_training(configuration),
        )
    ]
    if configuration.validation_csv is None:
        logger.warning("the configuration has no validation_csv: the last weights will be kept, not the best")
        return lists
    caches = [
        Path(cache).resolve() for cache in (configuration.training_cache, configuration.validation_cache) if cache
    ]
    if len(caches) > len(set(caches)):
        raise DatasetError("training_cache and validation_cache are the same folder: give each its own")
    cut = Cut.for_validation(configuration)
    return [
        *lists,
        SongList("validation songs", Path(configuration.validation_csv), configuration.validation_cache, cut),
    ]
