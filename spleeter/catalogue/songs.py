"""Songs of a batch: the files that a list of files and folders stands for, each once."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from spleeter.audio.codec import AUDIO_EXTENSIONS
from spleeter.errors import DecodeError
from spleeter.utils.names import display_name, reason

__all__ = ["Failure", "FoundSongs", "Song", "check_song", "find_songs", "holds_audio"]

_SURELY_AUDIO = AUDIO_EXTENSIONS - {".ts"}  # which is TypeScript's too
"""Extensions of the files that are not looked into."""

_HEAD = 512
"""Bytes at the start of a file that tell the commonest kinds without audio from the others."""

_OTHER_KINDS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"%PDF", b"PK\x03\x04", b"\x7fELF", b"SQLite format 3")
"""How JPEG, PNG, GIF, PDF, zip files, programs and databases begin: FFmpeg takes longer to find no audio in them."""


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


@dataclass
class FoundSongs:
    """What a list of files and folders stands for.

    Attributes:
        songs: in the order of the inputs, and sorted by path inside a folder.
        failures: inputs and folders that do not exist, cannot be read or hold no songs.
        left_out: extension, in lower case -> how many files of the folders have it and hold no audio.
    """

    songs: list[Song] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=Counter)


def find_songs(inputs: Iterable[Path], destination: Path | None) -> FoundSongs:
    """List the songs that are given by name, and those below the folders that are given, each once.

    Args:
        inputs: files, taken whatever they hold, and folders, whose files with audio are taken. Hidden files and
            folders, pipes and devices are left out.
        destination: folder of the outputs; where it lies inside a folder of the inputs it is left out, as it holds
            stems. None if they go to no folder.
    """
    songs: dict[str, Song] = {}
    failures: list[Failure] = []
    left_out: Counter[str] = Counter()
    for path in inputs:
        try:
            if path.is_dir():
                walked = sorted(_walk(path, destination, failures))
                found = [Song(file, is_named=False) for file in walked if _is_song(file, failures, left_out)]
            else:
                path.stat()  # raises OSError if it does not exist
                found = [Song(path, is_named=True)]
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            failures.append(_failure(path, error))
            continue
        if not found:
            failures.append(Failure(path, f"{display_name(path)}: no audio files in this folder"))
        for song in found:
            songs.setdefault(os.path.realpath(song.path), song)
    return FoundSongs(list(songs.values()), failures, left_out)


def _walk(folder: Path, destination: Path | None, failures: list[Failure]) -> Iterator[Path]:
    """The files below a folder that are not hidden."""
    excluded = None if destination is None else os.path.realpath(destination)
    for root, folders, files in os.walk(
        folder, onerror=lambda error: failures.append(_failure(Path(error.filename), error))
    ):
        folders[:] = [
            name for name in folders if not name.startswith(".") and os.path.realpath(Path(root, name)) != excluded
        ]
        yield from (Path(root, name) for name in files if not name.startswith("."))


def _is_song(file: Path, failures: list[Failure], left_out: Counter[str]) -> bool:
    """Whether a file of a folder is a song: by its extension, else by looking; the others are counted."""
    extension = file.suffix.lower()
    try:
        if stat.S_ISREG(file.stat().st_mode) and (extension in _SURELY_AUDIO or holds_audio(file)):
            return True
    except OSError as error:
        if extension in _SURELY_AUDIO:
            failures.append(_failure(file, error))
            return False
    left_out[extension] += 1
    return False


def holds_audio(file: Path) -> bool:
    """Whether FFmpeg finds audio in a regular file; reads no more than its beginning. Raises OSError."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if not head or head.startswith(_OTHER_KINDS) or _is_text(head):
        return False
    from spleeter.audio.demuxer import Demuxer  # loads FFmpeg

    try:
        Demuxer(file).close()
    except DecodeError:
        return False
    return True


def check_song(source: Path | BinaryIO, stream: int | None = None) -> None:
    """Open a song with FFmpeg, and leave a file object where it stood; nothing is read of pipes and devices.

    Args:
        source: its path or file object.
        stream: the audio stream that is wanted, from 0 on; None for any.

    Raises:
        DecodeError: if there is no such song, it is no audio, or has no such stream.
    """
    from spleeter.audio.demuxer import Demuxer

    if not isinstance(source, Path):
        start = source.tell()
        Demuxer(source, stream).close()
        source.seek(start)
    elif source.is_file() or not source.exists():
        Demuxer(source, stream).close()


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 text, which may be cut off within a character: playlists, cue sheets, lyrics."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()
    return not any(ord(char) < 32 and not char.isspace() for char in text)


def _failure(path: Path, error: OSError | ValueError) -> Failure:
    return Failure(path, f"{display_name(path)}: {reason(error)}")
