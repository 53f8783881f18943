"""Whether an audio file is complete, told by its header, its size and its end, without reading the rest.

A cheap check for many files: what was cut off, never written or overwritten by something else is found; damage inside
a file of the right length is not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av import AudioStream
from av.container import InputContainer

from spleeter.audio.files import AV_ERRORS
from spleeter.audio.ogg import ogg_is_finished
from spleeter.audio.riff import WavHeader, read_wav_header
from spleeter.errors import DecodeError
from spleeter.utils.names import display_name, reason

__all__ = ["AudioLength", "complete_length"]

_TOLERANCE = 0.02
"""Seconds: a file's last packet may end that much before the length that its header promises."""

_TAIL = 1 << 16
"""Bytes: more than the longest page of an Ogg file (RFC 3533)."""


@dataclass(frozen=True)
class AudioLength:
    """The length of an audio file.

    Attributes:
        seconds: of its first audio stream.
        is_certain: whether the file says it, and has no other stream; else it was estimated from sizes and rates.
    """

    seconds: float
    is_certain: bool


def complete_length(path: Path, *, trusts_header: bool = False) -> AudioLength:
    """The length of a file that is as long as its header promises.

    Args:
        path: of the file.
        trusts_header: take the promised length without a look at the end, in a third of the time.

    Raises:
        DecodeError: if it is not as long, or cannot be opened as audio.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            if not size:
                raise _incomplete(path, "it is empty")
            if (header := read_wav_header(file)) is not None:
                return _wav_length(path, header, size)
            if not tail[-4096:].strip(b"\0"):
                raise _incomplete(path, "it ends in zeros")
            return _length_by_ffmpeg(path, file, size, tail, trusts_header)
    except AV_ERRORS as error:
        raise _incomplete(path, reason(error)) from error


def _incomplete(path: Path, what: str) -> DecodeError:
    return DecodeError(f"{display_name(path)} is not a complete audio file: {what}")


def _wav_length(path: Path, header: WavHeader, size: int) -> AudioLength:
    """The length that the header of a WAV file tells."""
    if header.data_size is None or not header.bytes_per_second:
        raise _incomplete(path, "its header does not say how many bytes of samples it holds")
    if (held := size - header.data_begin) < header.data_size:
        raise _incomplete(path, f"it holds {held} of {header.data_size} bytes of samples")
    return AudioLength(header.data_size / header.bytes_per_second, is_certain=True)


def _length_by_ffmpeg(path: Path, file: BinaryIO, size: int, tail: bytes, trusts_header: bool) -> AudioLength:
    """The length that FFmpeg tells, if the end of the file bears it out."""
    file.seek(0)
    with av.open(file, "r") as container:
        if not container.streams.audio:
            raise _incomplete(path, "it holds no audio")
        stream, kind = container.streams.audio[0], container.format.name
        start, seconds = (stream.start_time or 0) * (stream.time_base or 0), _promised_seconds(container, stream)
        if seconds is None:
            raise _incomplete(path, "it does not say how long it is")
        if kind == "mp3":
            return AudioLength(seconds, is_certain=_has_info_tag(path, file, size))
        if kind == "asf":
            _check_asf_size(path, file, size)
            return AudioLength(seconds, is_certain=False)  # estimated from the size, tags included
        if kind == "ogg":
            if not ogg_is_finished(tail):
                raise _incomplete(path, f"it breaks off after {seconds:.1f} s")
            return AudioLength(seconds, is_certain=False)  # of the last of several links, if there are several
        is_certain = len(container.streams.audio) == 1
        if trusts_header:
            return AudioLength(seconds, is_certain)
        if seconds > 1:
            container.seek(int((start + seconds - 1) * av.time_base))
        end = 0.0
        for packet in container.demux(stream):
            packet.decode()  # raises if it is damaged
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base - start)
        if end < seconds - _TOLERANCE:
            raise _incomplete(path, f"it breaks off after {end:.1f} of {seconds:.1f} s")
        return AudioLength(seconds, is_certain)


def _promised_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _has_info_tag(path: Path, file: BinaryIO, size: int) -> bool:
    """Whether an MP3 file tells its length: in the Xing or Info tag of its first frame.

    It also tells the bytes, so that FFmpeg need not read the whole file to find its end. Raises DecodeError if they
    are not there.
    """
    file.seek(0)
    start, head = 0, file.read(10)
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:10])))
    file.seek(start)
    frame = file.read(200)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    if place < 0 or len(frame) < place + 16:
        return False
    flags, n_frames, n_bytes = struct.unpack_from(">III", frame, place + 4)
    if flags & 3 == 3 and start + n_bytes > size:
        raise _incomplete(path, f"it holds {size - start} of {n_bytes} bytes")
    return bool(flags & 1 and n_frames)


def _check_asf_size(path: Path, file: BinaryIO, size: int) -> None:
    """Raise DecodeError if the data object of an ASF file, which follows its header, is cut off."""
    file.seek(16)
    header_size = int.from_bytes(file.read(8), "little")
    file.seek(header_size + 16)
    end = header_size + int.from_bytes(file.read(8), "little")
    if end > size:
        raise _incomplete(path, f"it holds {size} of {end} bytes")
