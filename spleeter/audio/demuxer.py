"""An audio file -> its packets: the container opened, its audio stream chosen, its header read, its metadata kept."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
from av.stream import Discard, Disposition

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.files import AV_ERRORS, InputFile
from spleeter.audio.metadata import musical_tags
from spleeter.audio.tags import read_tags
from spleeter.types import FileSource
from spleeter.utils.names import reason

__all__ = ["Demuxer", "wav_length"]

_READ_SIZE = 1 << 18
"""Bytes asked from the file in one read."""

_NO_OTHER_FILES = {"protocol_whitelist": "none"}
"""Keeps FFmpeg from opening what a playlist names, other files and addresses."""

_EXACT_AFTER_SEEK = frozenset(("flac", "alac", "tta", "wavpack", "mp3", "mp3float", "vorbis"))
"""Decoders that give, a second after a seek, the same bits as decoding from the start; so does PCM.

AAC, AC-3 and WMA draw pseudo-random numbers, and Opus filters recursively: all that came before counts.
"""

_WITH_LENGTH = frozenset(("flac", "mp3", "mov", "aiff", "au", "caf", "tta", "wv", "w64", "ape"))
"""Containers whose header counts the samples (WAV is read separately) instead of having FFmpeg guess."""

_SYNTHESISERS = frozenset({"sbg"})
"""Formats that are scripts for FFmpeg to synthesise audio from, possibly without end."""


class Demuxer:
    """An audio file opened with FFmpeg's libraries, at its beginning.

    FFmpeg reads through a file object of ours: so a name means just that file, whatever it looks like ("http:...",
    "concat:...", "%03d.wav"), and no playlist can make FFmpeg open another one.

    Args:
        source: a path or a file object.
        stream: which audio stream to read, from 0 on; None: the one marked as default, else the first.

    Raises:
        DecodeError: if there is no such file, it cannot be read, or has no audio in it.
    """

    def __init__(self, source: FileSource, stream: int | None = None) -> None:
        self.file = InputFile(source)
        self._stream_number = stream
        try:
            self._wav_length = wav_length(self.file) if self.file.seekable() else None
            self._tags = read_tags(self.file) if self.file.seekable() else None
            self._open_container()
        except BaseException:
            self.file.close()
            raise

    def rewind(self) -> None:
        """Start again at the beginning of a seekable file."""
        self._container.close()
        self.file.seek(0)
        self._open_container()

    def _open_container(self) -> None:
        try:
            self._container = self._open_recognised()
        except AV_ERRORS as error:
            self.file.check()
            raise self.file.failure(self._why_not(error)) from error
        if self._container.format.name in _SYNTHESISERS:
            raise self.file.failure("not an audio file (a script to synthesise audio from)")
        self.stream = self._choose_stream()
        self._first, cover = self._read_cover()
        for stream in self._container.streams:
            if stream is not self.stream:
                stream.discard = Discard.all  # spares reading a video's images
        self.metadata = self._tags or AudioMetadata(
            musical_tags(self._container.metadata, self.stream.metadata), cover
        )

    def _open_recognised(self) -> av.container.InputContainer:
        try:
            return self._open_as(None)
        except av.error.InvalidDataError:
            # Of an MP3 of a tenth of a second, FFmpeg may find too little to be sure what it is.
            if not self.file.seekable() or self.file.seek(0) or self.file.read(3) != b"ID3":
                raise
            self.file.seek(0)
            return self._open_as("mp3")

    def _open_as(self, container: str | None) -> av.container.InputContainer:
        return av.open(
            self.file,
            "r",
            container,
            container_options=_NO_OTHER_FILES,
            metadata_errors="replace",
            buffer_size=_READ_SIZE,
        )

    def _why_not(self, error: BaseException) -> str:
        """Why FFmpeg could not open the container."""
        if not self.file.seekable():
            return f"not an audio file, or one that cannot be read without seeking ({reason(error)})"
        if self.file.seek(0, os.SEEK_END) != 0:
            return f"not an audio file ({reason(error)})"
        where = self.file.start
        return f"the file ends at its position, byte {where}; seek back first" if where else "the file is empty"

    def _choose_stream(self) -> av.AudioStream:
        streams = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        number = self._stream_number
        if not streams:
            raise self.file.failure("it has no audio stream that can be decoded")
        if number is not None and not 0 <= number < len(streams):
            raise self.file.failure(f"it has no audio stream {number}, only {len(streams)} in all, counted from 0")
        default = next((s for s in streams if Disposition.default & s.disposition), streams[0])
        chosen = default if number is None else streams[number]
        if chosen.codec_context.name == "flac":
            # Damaged frames are refused rather than played as noise.
            chosen.codec_context.options = {"err_detect": "crccheck+explode"}
        return chosen

    def _read_cover(self) -> tuple[av.Packet[Any] | None, bytes | None]:
        """The cover picture if there is one, and the first audio packet if it had to be read for that."""
        pictures = [s for s in self._container.streams if Disposition.attached_pic & s.disposition]
        if pictures:
            with suppress(*AV_ERRORS):  # FFmpeg queues attached pictures ahead of everything else
                packet = next(self._container.demux(pictures[0], self.stream))
                return (None, bytes(packet) or None) if packet.stream is pictures[0] else (packet, None)
        return None, None

    @property
    def _container_name(self) -> str:
        """FFmpeg's name of the container format: "wav", "mov", "matroska", ..."""
        return self._container.format.name.split(",")[0]

    @property
    def is_pcm(self) -> bool:
        """Whether the samples are stored as they are: only then can NaN be what somebody wrote."""
        return self.stream.codec_context.name.startswith("pcm_")

    @property
    def sample_bits(self) -> int | None:
        """Bits that a sample is decoded to; None if the codec is lossy. (DTS is lossless in some profiles alone.)"""
        context = self.stream.codec_context
        is_lossless = context.codec.lossless and context.name != "dca" and context.format is not None
        return 8 * context.format.bytes if is_lossless else None

    @property
    def bitrate(self) -> int | None:
        """Bits per second of a lossy stream; None if the codec is lossless, or the file does not say."""
        if self.sample_bits is not None:
            return None
        is_alone = len(self._container.streams) == 1 and self.metadata.cover is None
        return self.stream.codec_context.bit_rate or (self._container.bit_rate if is_alone else 0) or None

    def declared_length(self, sample_rate: int) -> int | None:
        """Samples per channel that the header counts, None if it does not. FFmpeg's guesses are no whole numbers."""
        if self._wav_length is not None:
            return self._wav_length
        samples = _in_samples(self.stream.duration, self.stream.time_base, sample_rate)
        if samples is None or samples.denominator != 1 or self._container_name not in _WITH_LENGTH:
            return None
        return int(samples)

    def estimated_length(self, sample_rate: int) -> int | None:
        """Samples per channel according to the header or FFmpeg's guess; None if there is neither."""
        samples = _in_samples(self.stream.duration, self.stream.time_base, sample_rate)
        if samples is None:
            samples = _in_samples(self._container.duration, Fraction(1, av.time_base), sample_rate)
        return None if samples is None else max(0, round(samples))

    def padding_start(self, sample_rate: int) -> int | None:
        """The sample from which the last frame may hold padding, None if FFmpeg removes padding by itself.

        It does not where MP4 gives the end by the stream's length alone, where MP3's padding is longer than a frame,
        and where all of a Vorbis stream lies in one Ogg page.
        """
        if self.stream.codec_context.name == "vorbis":
            return self.estimated_length(sample_rate) if self._container_name == "ogg" else None
        return self.declared_length(sample_rate) if self._container_name in ("mov", "mp3") else None

    def packets(self) -> Iterator[av.Packet[Any]]:
        """The audio packets from here on; the last is an empty one, which flushes the decoder. Raises AV_ERRORS."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._container.demux(self.stream)

    def can_seek(self, sample_rate: int) -> bool:
        """Whether the samples after `seek` are those that decoding from the start gives.

        For this the decoder's state must not reach far back, and the container's time stamps must count samples.
        """
        time_base = self.stream.time_base
        exact_decoder = self.is_pcm or self.stream.codec_context.name in _EXACT_AFTER_SEEK
        exact_times = time_base is not None and (1 / (time_base * sample_rate)).denominator == 1
        return self.file.seekable() and exact_decoder and exact_times

    def seek(self, time_stamp: int) -> None:
        """Go to the last packet before a time, in the stream's time base. Raises AV_ERRORS."""
        self._first = None
        self._container.seek(time_stamp, stream=self.stream)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._container.close()
        self.file.close()


def _in_samples(count: int | None, unit: Fraction | None, sample_rate: int) -> Fraction | None:
    """A time of so many units, in seconds each, in samples; None if the container has none."""
    return None if count is None or not unit else count * unit * sample_rate


_PCM_TAGS = (1, 3, 0xFFFE)  # integers, floats, "extensible" (either of the two)
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # written by programs that could not seek back to correct them


def wav_length(file: InputFile) -> int | None:
    """Samples per channel that a WAV file's header declares; FFmpeg goes by the file's size instead.

    Reads a RIFF or RF64 header from the start of a seekable file, and leaves the file at its start.

    Returns:
        None if the file is no uncompressed WAV, or its header does not say.
    """
    try:
        file.seek(0)
        return _walk_chunks(file)
    except struct.error:  # the header itself is cut off
        return None
    finally:
        file.seek(0)


def _walk_chunks(file: InputFile) -> int | None:
    form, _, kind = struct.unpack("<4sI4s", file.read(12))
    if form not in (b"RIFF", b"RF64") or kind != b"WAVE":
        return None
    frame_size = wide_size = 0
    position = 12
    while True:
        chunk, size = struct.unpack("<4sI", file.read(8))
        if chunk == b"data":
            n_bytes = wide_size if form == b"RF64" and size == 0xFFFFFFFF else size
            return n_bytes // frame_size if frame_size and n_bytes not in _UNKNOWN_SIZES else None
        if chunk == b"ds64":
            _, wide_size = struct.unpack("<QQ", file.read(16))
        elif chunk == b"fmt ":
            tag, frame_size = struct.unpack("<H10xH", file.read(14))
            frame_size = frame_size if tag in _PCM_TAGS else 0
        position += 8 + size + size % 2
        file.seek(position)
