"""Paths of a song's outputs, out of a format of file names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from spleeter.errors import OutputError
from spleeter.types import AudioDescriptor, PathLike
from spleeter.utils.names import FILENAME_FORMAT

__all__ = ["PLOT", "output_paths", "song_name"]

PLOT = "spectrograms.png"
"""The name of a song's plot among its outputs."""


def output_paths(
    song: AudioDescriptor, folder: PathLike, names: Iterable[str], codec: str, filename_format: str = FILENAME_FORMAT
) -> dict[str, Path]:
    """The path of each of a song's outputs, by name.

    Args:
        song: its path, or file object; {filename} is its name without extension, {foldername} its folder's.
        folder: that of the outputs.
        names: the outputs' names, each in turn the {instrument}.
        codec: the {codec}.
        filename_format: path below the folder.

    Raises:
        OutputError: if the format has other fields, or gives two outputs one path.
    """
    paths = {name: Path(folder, _fill(filename_format, song, name, codec)) for name in names}
    if len(set(paths.values())) < len(paths):
        raise OutputError(
            f"filename format {filename_format!r} gives several stems one path, "
            f"{next(iter(paths.values()))}; put {{instrument}} into it"
        )
    return paths


def song_name(song: AudioDescriptor) -> str:
    """The name of a song's file, without extension; "audio" for a file object without a name."""
    return os.path.splitext(os.path.basename(_text(song)))[0]  # noqa: PTH119, PTH122 - may be a URL


def _text(song: AudioDescriptor) -> str:
    if hasattr(song, "read"):
        name = getattr(song, "name", None)
        return name if isinstance(name, str) and name else "audio"
    return os.fsdecode(song) if isinstance(song, (str, bytes, os.PathLike)) else str(song)


def _fill(filename_format: str, song: AudioDescriptor, instrument: str, codec: str) -> str:
    fields = {
        "filename": song_name(song),
        "foldername": os.path.basename(os.path.dirname(_text(song))),  # noqa: PTH119, PTH120 - may be a URL
        "instrument": instrument,
        "codec": str(codec),
    }
    try:
        filled = filename_format.format_map(fields)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        known = ", ".join(f"{{{field}}}" for field in fields)
        raise OutputError(
            f"filename format {filename_format!r} cannot be filled in ({error}); its fields are {known}"
        ) from error
    return filled if filename_format.startswith("/") else filled.lstrip("/")  # {foldername} may be empty
