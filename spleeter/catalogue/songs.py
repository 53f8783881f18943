"""Which songs a list of files and folders means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = frozenset(
    {
        ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".ape", ".au", ".avi", ".caf", ".flac",
        ".m4a", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpg", ".mpeg",
        ".oga", ".ogg", ".ogv", ".opus", ".ts", ".tta", ".wav", ".webm", ".wma", ".wmv",
        ".wv",
    }
)  # fmt: skip
"""What is taken for a song inside a folder. A file that is named itself is taken whatever it is called."""


@dataclass(frozen=True)
class Failure:
    """A song that could not be separated, and the one-line reason."""

    song: Path
    reason: str


def find_songs(inputs: Iterable[Path]) -> tuple[list[Path], list[Failure]]:
    """List the songs that are named, and those below the folders that are named, each once.

    Returns:
        The songs, in the order of the inputs and sorted by path inside a folder; and the inputs that are not there,
        cannot be read or hold no songs.
    """
    songs: dict[Path, Path] = {}
    failures: list[Failure] = []
    for path in inputs:
        try:
            found = _songs_below(path)
        except OSError as error:
            failures.append(Failure(path, f"{path}: {error.strerror}"))
            continue
        if not found:
            failures.append(Failure(path, f"{path}: no sound files in this folder"))
        for song in found:
            songs.setdefault(song.resolve(), song)
    return list(songs.values()), failures


def _songs_below(path: Path) -> list[Path]:
    if not path.is_dir():
        path.stat()  # raises if it is not there
        return [path]
    return sorted(_walk(path))


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS:  # noqa: PTH122
                yield Path(root, name)
