"""The chunks of WAV files (RIFF, RF64, BW64) and their relatives: what headers say, and what the files hold."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from spleeter.audio.files import InputFile

__all__ = ["WavHeader", "declared_end", "holds_more", "read_wav_header"]

_PCM_TAGS = frozenset((1, 3))  # integers, floats
_EXTENSIBLE = 0xFFFE
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # written by programs that could not seek back to correct them
_WRAP = 1 << 32
_MAX_PADDING = 1 << 20
_MAX_CHUNKS = 10_000
"""Chunks that are walked over, at most: zeros behind a header could be taken for a hundred million."""

_File: TypeAlias = InputFile | BinaryIO


@dataclass(frozen=True)
class WavHeader:
    """What the header of a WAV file says. Sizes are in bytes, positions in bytes from the file's beginning."""

    tag: int
    """The format of the samples, Microsoft's number of it; that of the subformat where the format is extensible."""
    n_channels: int
    bytes_per_second: int
    frame_size: int
    """Of one sample of every channel; of a block where the format is compressed."""
    bits: int
    """Per sample, as stored."""
    valid_bits_at: int | None
    """Where the extensible format says that integers of 24 bits fill 32 each; None if it does not."""
    data_begin: int
    data_size: int | None
    """As the header says, but for a size that wrapped at 4 GiB, which is unwrapped; None if it does not say."""
    is_wrapped: bool
    n_uncounted: int
    """Bytes behind the samples that are no chunks: samples, most likely, that the header does not count."""

    @property
    def is_pcm(self) -> bool:
        """Whether the samples are stored as they are."""
        return self.tag in _PCM_TAGS

    @property
    def length(self) -> int | None:
        """Samples per channel; None if the samples are compressed, or the header does not say."""
        if not self.is_pcm or not self.frame_size or self.data_size is None:
            return None
        return self.data_size // self.frame_size


def read_wav_header(file: _File) -> WavHeader | None:
    """Read the header from the start of a seekable file, and leave the file at its start.

    Returns:
        None if it is no WAV file, or its header is cut off.

    Raises:
        ValueError: if it has too many chunks for a header.
    """
    try:
        file.seek(0)
        return _walk_chunks(file)
    except struct.error:  # the header itself is cut off
        return None
    finally:
        file.seek(0)


def _walk_chunks(file: _File) -> WavHeader | None:
    form, _, kind = struct.unpack("<4sI4s", file.read(12))
    if form not in (b"RIFF", b"RF64", b"BW64") or kind != b"WAVE":
        return None
    tag = n_channels = bytes_per_second = frame_size = bits = wide_size = 0
    valid_bits_at = None
    position = 12
    for _ in range(_MAX_CHUNKS):
        chunk, size = struct.unpack("<4sI", file.read(8))
        begin = position + 8
        if chunk == b"data":
            break
        if chunk == b"ds64":
            _, wide_size = struct.unpack("<QQ", file.read(16))
        elif chunk == b"fmt ":
            tag, n_channels, bytes_per_second, frame_size, bits = struct.unpack("<HH4xIHH", file.read(16))
            if tag == _EXTENSIBLE and size >= 40:
                valid_bits, tag = struct.unpack("<2xH4xH14x", file.read(24))
                valid_bits_at = begin + 18 if (tag, bits, valid_bits) == (1, 32, 24) else None
        position = begin + size + size % 2
        file.seek(position)
    else:
        raise ValueError(f"none of its first {_MAX_CHUNKS} chunks holds samples")
    data_size, is_wrapped, n_uncounted = None, False, 0
    if form != b"RIFF" and size == 0xFFFFFFFF:
        size = wide_size
    if size not in _UNKNOWN_SIZES:
        data_size, n_uncounted = _true_size(file, begin, size)
        is_wrapped = data_size != size
    return WavHeader(
        *(tag, n_channels, bytes_per_second, frame_size, bits),
        *(valid_bits_at, begin, data_size, is_wrapped, n_uncounted),
    )


def declared_end(file: InputFile, container: str) -> int | None:
    """The byte where a seekable file ends by the size in its header; None where none is known.

    Args:
        file: its position changes.
        container: FFmpeg's name: "avi", "w64", "aiff", "caf".
    """
    file.seek(0)
    head = file.read(24)
    if len(head) < 24:
        return None
    if container == "avi":
        size = int.from_bytes(head[4:8], "little")
        return None if size in _UNKNOWN_SIZES else 8 + size
    if container == "aiff":
        return 8 + int.from_bytes(head[4:8], "big")
    if container == "w64":
        return int.from_bytes(head[16:24], "little") or None
    return _end_of_caf_data(file) if container == "caf" else None


def _end_of_caf_data(file: InputFile) -> int | None:
    position = 8
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        chunk, size = file.read(4), int.from_bytes(file.read(8), "big", signed=True)
        if len(chunk) < 4 or size < 0:
            return None
        position += 12 + size
        if chunk == b"data":
            return position
    return None


def holds_more(file: InputFile, end: int) -> bool:
    """Whether what follows byte `end` is neither padding nor a tag: samples, most likely, that no header counts."""
    file.seek(end)
    begin = file.read(8)
    if len(begin) < 8 or _is_tag(begin):
        return False
    return any(begin) or not _are_zeros(file)


def _true_size(file: _File, begin: int, size: int) -> tuple[int, int]:
    """The size of the data chunk, unwrapped if it wrapped at 4 GiB, and the bytes behind it that are no chunks."""
    rest = file.seek(0, os.SEEK_END) - begin
    if rest >= _WRAP and (rest - size) % _WRAP == 0:
        return rest, 0
    for candidate in range(size, rest + 1, _WRAP):
        if _are_chunks(file, begin + candidate + candidate % 2, begin + rest):
            return candidate, 0
    return size, max(0, rest - size)


def _are_chunks(file: _File, position: int, end: int) -> bool:
    """Whether the bytes from `position` on are chunks up to the `end` of the file, or zeros, or too few for one."""
    for _ in range(_MAX_CHUNKS):
        if end - position < 8:
            return True
        file.seek(position)
        chunk, size = struct.unpack("<4sI", file.read(8))
        if not any(chunk):
            return _are_zeros(file)
        if not all(32 <= byte < 127 for byte in chunk) or position + 8 + size > end:
            return _is_tag(chunk)
        position += 8 + size + size % 2
    return False


def _are_zeros(file: _File) -> bool:
    """Whether the rest of the file is padding: zeros, and not many."""
    rest = file.read(_MAX_PADDING + 1)
    return len(rest) <= _MAX_PADDING and not rest.strip(b"\0")


def _is_tag(begin: bytes) -> bool:
    """Whether bytes begin one of the tags that programs append without a chunk: ID3v1, ID3v2, APEv2, Lyrics3."""
    return begin.startswith((b"TAG", b"ID3", b"APET", b"LYRI"))
