"""Paths of a song's outputs, out of a format of file names; and the codec that such a format names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from string import Formatter

from spleeter.audio.codec import Codec
from spleeter.errors import OutputError
from spleeter.types import AudioDescriptor, PathLike
from spleeter.utils.names import FILENAME_FORMAT, short

__all__ = ["PLOT", "codec_of_format", "output_paths", "song_name"]

PLOT = "spectrograms.png"
"""The name of a song's plot among its outputs."""

_NAMELESS = "audio"
"""The name of a song that has none."""


def output_paths(
    song: AudioDescriptor, folder: PathLike, names: Iterable[str], codec: str, filename_format: str = FILENAME_FORMAT
) -> dict[str, Path]:
    """The path of each of a song's outputs, by name.

    Args:
        song: its path, or file object; {filename} is its name without extension, {foldername} its folder's.
        folder: that of the outputs, which no path leaves.
        names: the outputs' names, each in turn the {instrument}.
        codec: the {codec}.
        filename_format: path below the folder; one without extension gets ".{codec}".

    Raises:
        OutputError: if the format has other fields, leaves the folder, or gives two outputs one path.
    """
    complete = filename_format if _extension(filename_format) else f"{filename_format}.{{codec}}"
    paths = {name: Path(folder, _fill(complete, song, name, codec)) for name in names}
    if len(set(paths.values())) < len(paths):
        raise OutputError(
            f"filename format {short(filename_format)} gives several stems one path, "
            f"{next(iter(paths.values()))}; put {{instrument}} into it"
        )
    return paths


def codec_of_format(filename_format: str, codec: Codec | None = None) -> Codec:
    """The codec of the files of a filename format: that of its extension, else `codec`, else wav.

    Raises:
        OutputError: if the extension is none of a codec, or of another one than `codec`.
    """
    extension = _extension(filename_format)
    if extension in ("", "{codec}"):
        return codec or Codec.WAV
    if extension.lower() not in set(Codec):
        known = ", ".join(f".{name}" for name in Codec)
        raise OutputError(
            f"filename format {short(filename_format)} ends in .{extension}, which is no extension of {known}; "
            "end it in one of these, or in .{codec}"
        )
    named = Codec(extension.lower())
    if codec not in (None, named):
        raise OutputError(
            f"filename format {short(filename_format)} ends in .{extension}, but the codec is {codec}; "
            "leave the codec out, or end the format in .{codec}"
        )
    return named


def song_name(song: AudioDescriptor) -> str:
    """The name of a song's file, without extension; "audio" for a file object without a name."""
    name = os.path.splitext(os.path.basename(_text(song)))[0]  # noqa: PTH119, PTH122 - may be a URL
    return _NAMELESS if name in ("", os.curdir, os.pardir) else name


def _text(song: AudioDescriptor) -> str:
    if hasattr(song, "read"):
        name = getattr(song, "name", None)
        return name if isinstance(name, str) and name else _NAMELESS
    return os.fsdecode(song) if isinstance(song, (str, bytes, os.PathLike)) else str(song)


def _folder_name(song: AudioDescriptor) -> str:
    """The name of a song's folder; '' for a bare file name."""
    path = os.path.normpath(_text(song))
    if path.startswith(os.pardir):
        path = os.path.abspath(path)  # noqa: PTH100 - may be a URL
    return os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120 - may be a URL


def _extension(filename_format: str) -> str:
    """What a filename format has after its last dot: ASCII letters and digits, or "{codec}"; '' if anything else."""
    match = re.search(r"[^/\\]\.([A-Za-z0-9]+|\{codec\})$", filename_format)
    return match[1] if match else ""


def _fill(filename_format: str, song: AudioDescriptor, instrument: str, codec: str) -> str:
    fields = {
        "filename": song_name(song),
        "foldername": _folder_name(song),
        "instrument": instrument,
        "codec": str(codec),
    }
    try:
        for _, field, _, _ in Formatter().parse(filename_format):
            if field is not None and field not in fields:
                raise KeyError(field)
        filled = filename_format.format_map(fields)
    except (KeyError, ValueError) as error:
        known = ", ".join(f"{{{field}}}" for field in fields)
        raise OutputError(
            f"filename format {short(filename_format)} cannot be filled in ({error}); its fields are {known}"
        ) from error
    below = filled if filename_format.startswith("/") else filled.lstrip("/")  # {foldername} may be empty
    path = PurePath(below)
    if path.anchor or os.pardir in path.parts or "\0" in below:
        raise OutputError(
            f"filename format {short(filename_format)} leads out of the output folder, to {short(below)}; "
            "let it be a path below that folder"
        )
    return below
