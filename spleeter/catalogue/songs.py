"""Songs of a batch: the files that a list of files and folders stands for, each once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spleeter.audio.codec import AUDIO_EXTENSIONS
from spleeter.utils.names import display_name

__all__ = ["Failure", "Song", "find_songs"]


@dataclass(frozen=True)
class Song:
    """A file to separate; `is_named` if the file itself was given, rather than a folder above it."""

    path: Path
    is_named: bool


@dataclass(frozen=True)
class Failure:
    """A song that could not be separated, and the reason in one line."""

    song: Path
    reason: str


def find_songs(inputs: Iterable[Path], destination: Path) -> tuple[list[Song], list[Failure]]:
    """List the songs that are given by name, and those below the folders that are given, each once.

    Args:
        inputs: files, taken whatever their extension, and folders, whose audio files are taken. Hidden files and
            folders are left out.
        destination: folder of the outputs; where it lies inside a folder of the inputs it is left out, as it holds
            stems.

    Returns:
        The songs, in the order of the inputs and sorted by path inside a folder; and the inputs and folders that
        do not exist, cannot be read or hold no songs.
    """
    songs: dict[str, Song] = {}
    failures: list[Failure] = []
    for path in inputs:
        try:
            found = _songs_at(path, destination, failures)
        except OSError as error:
            failures.append(_failure(path, error))
            continue
        if not found:
            failures.append(Failure(path, f"{display_name(path)}: no audio files in this folder"))
        for song in found:
            songs.setdefault(os.path.realpath(song.path), song)
    return list(songs.values()), failures


def _songs_at(path: Path, destination: Path, failures: list[Failure]) -> list[Song]:
    if path.is_dir():
        return [Song(found, is_named=False) for found in sorted(_walk(path, destination, failures))]
    path.stat()  # raises OSError if it does not exist
    return [Song(path, is_named=True)]


def _walk(folder: Path, destination: Path, failures: list[Failure]) -> Iterator[Path]:
    excluded = os.path.realpath(destination)
    for root, folders, files in os.walk(
        folder, onerror=lambda error: failures.append(_failure(Path(error.filename), error))
    ):
        folders[:] = [
            name for name in folders if not name.startswith(".") and os.path.realpath(Path(root, name)) != excluded
        ]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS:  # noqa: PTH122
                yield Path(root, name)


def _failure(path: Path, error: OSError) -> Failure:
    return Failure(path, f"{display_name(path)}: {error.strerror}")
