"""An opened sound file: which of its streams is the sound, what its header promises, where it can jump to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
from av.stream import Discard, Disposition

from spleeter.audio import riff
from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.failures import AV_ERRORS, reason
from spleeter.audio.inputfile import InputFile
from spleeter.audio.metadata import musical_tags
from spleeter.errors import DecodeError
from spleeter.utils.names import display_name

_READ_SIZE = 1 << 18
"""Bytes asked from the file at once."""

_ALONE = {"protocol_whitelist": "none"}
"""Keeps FFmpeg from opening what a playlist names, other files and addresses."""

_FORGETFUL_DECODERS = frozenset(("flac", "alac", "tta", "wavpack", "mp3", "mp3float", "vorbis"))
"""Decoders that give, a second after a jump, the very bits that decoding from the start gives; so does PCM.

AAC, AC-3 and WMA draw pseudo-random numbers and Opus filters recursively: these never quite forget.
"""

_COUNTING_CONTAINERS = frozenset(("flac", "mp3", "mov", "aiff", "au", "caf", "tta", "wv", "w64", "ape"))
"""Containers whose header counts the samples (WAV is looked at separately) instead of having FFmpeg guess."""


_SCRIPTS = frozenset({"sbg"})
"""Formats that are texts telling FFmpeg what to synthesise, possibly without end."""


class Source:
    """A sound file opened with FFmpeg's libraries, at its beginning.

    Python opens the file and hands it to FFmpeg as an object: so a name means just that file, whatever it
    looks like ("http:...", "concat:...", "%03d.wav"), and no playlist can make FFmpeg open another one.

    Raises:
        DecodeError: if there is no such file, it cannot be read, or has no sound in it.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], stream: int | None = None) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            raise DecodeError(f"{path!r} is not the path of a sound file")
        self.path = path
        self.name = display_name(path)
        try:
            self._file = InputFile(os.fsdecode(path))
        except (OSError, ValueError) as error:
            raise self.failure(reason(error)) from error
        try:
            self._open_container(stream)
        except BaseException:
            self._file.close()
            raise

    def _open_container(self, stream_number: int | None) -> None:
        self._wav_samples = riff.samples_promised(self._file) if self._file.seekable() else None
        try:
            self._container = self._opened()
        except AV_ERRORS as error:
            self.check()
            empty = self._file.seekable() and self._file.seek(0, os.SEEK_END) == 0
            raise self.failure("the file is empty" if empty else f"not a sound file ({reason(error)})") from error
        if self._container.format.name in _SCRIPTS:
            raise self.failure("not a sound file (a script for sounds that are made up)")
        self.stream = self._sound_stream(stream_number)
        self._held, cover = self._first_packet()
        for stream in self._container.streams:
            if stream is not self.stream:
                stream.discard = Discard.all  # spares reading a video's pictures
        self.metadata = AudioMetadata(musical_tags(self._container.metadata, self.stream.metadata), cover)

    def _opened(self) -> av.container.InputContainer:
        try:
            return self._opened_as(None)
        except av.error.InvalidDataError:
            # Of an MP3 of a tenth of a second, FFmpeg may find too little to be sure what it is.
            if not self._file.seekable() or self._file.seek(0) or self._file.read(3) != b"ID3":
                raise
            self._file.seek(0)
            return self._opened_as("mp3")

    def _opened_as(self, container: str | None) -> av.container.InputContainer:
        return av.open(
            self._file, "r", container, container_options=_ALONE, metadata_errors="replace", buffer_size=_READ_SIZE
        )

    def _sound_stream(self, number: int | None) -> av.AudioStream:
        """The asked sound stream; else the first one marked as the default, else the first that can be decoded."""
        streams = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        if not streams:
            raise self.failure("there is no sound in it that can be decoded")
        if number is not None and not 0 <= number < len(streams):
            raise self.failure(f"it has no sound stream {number}, only {len(streams)} in all, counted from 0")
        default = next((s for s in streams if Disposition.default & s.disposition), streams[0])
        chosen = default if number is None else streams[number]
        if chosen.codec_context.name == "flac":
            # Damaged frames are refused rather than played as noise.
            chosen.codec_context.options = {"err_detect": "crccheck+explode"}
        return chosen

    def _first_packet(self) -> tuple[av.Packet[Any] | None, bytes | None]:
        """The sound's first packet if it had to be read already, and the cover picture if there is one."""
        pictures = [s for s in self._container.streams if Disposition.attached_pic & s.disposition]
        if pictures:
            with suppress(*AV_ERRORS):  # FFmpeg queues attached pictures ahead of everything else
                packet = next(self._container.demux(pictures[0], self.stream))
                return (None, bytes(packet) or None) if packet.stream is pictures[0] else (packet, None)
        return None, None

    @property
    def container_name(self) -> str:
        """FFmpeg's name of the container format: "wav", "mov", "matroska", ..."""
        return self._container.format.name.split(",")[0]

    @property
    def is_pcm(self) -> bool:
        """Whether the samples lie in the file as they are: only then can NaN be what somebody wrote."""
        return self.stream.codec_context.name.startswith("pcm_")

    def samples_promised(self, sample_rate: int) -> int | None:
        """Samples the header counts, None if there is no such count. A guess hits no whole sample."""
        if self._wav_samples is not None:
            return self._wav_samples
        samples = _times(self.stream.duration, self.stream.time_base, sample_rate)
        if samples is None or samples.denominator != 1 or self.container_name not in _COUNTING_CONTAINERS:
            return None
        return int(samples)

    def padded_end(self, sample_rate: int) -> int | None:
        """Where padding begins that may be in the last frame, None if FFmpeg takes it away by itself.

        It does not where MP4 tells the end by the sound's length alone, where MP3's padding is longer than
        a frame, and where all of a Vorbis stream lies in one Ogg page.
        """
        if self.stream.codec_context.name == "vorbis":
            return self.samples_expected(sample_rate) if self.container_name == "ogg" else None
        return self.samples_promised(sample_rate) if self.container_name in ("mov", "mp3") else None

    def samples_expected(self, sample_rate: int) -> int | None:
        """Samples there may be, by whatever the file or FFmpeg says; None if nothing does."""
        samples = _times(self.stream.duration, self.stream.time_base, sample_rate)
        if samples is None:
            samples = _times(self._container.duration, Fraction(1, av.time_base), sample_rate)
        return None if samples is None else max(0, round(samples))

    def packets(self) -> Iterator[av.Packet[Any]]:
        """The sound's packets from here on; the last is an empty one, which flushes the decoder."""
        if self._held is not None:
            yield self._held
            self._held = None
        yield from self._container.demux(self.stream)

    def can_jump(self, sample_rate: int) -> bool:
        """Whether after `jump` the very samples come that come when all is decoded from the start.

        For this the decoder must forget, and the container's time stamps must count samples.
        """
        time_base = self.stream.time_base
        forgets = self.is_pcm or self.stream.codec_context.name in _FORGETFUL_DECODERS
        exact = time_base is not None and (1 / (time_base * sample_rate)).denominator == 1
        return self._file.seekable() and forgets and exact

    def jump(self, time_stamp: int) -> None:
        """Go on at the last packet before a time, in the stream's time base. Raises one of AV_ERRORS."""
        self._held = None
        self._container.seek(time_stamp, stream=self.stream)

    def check(self) -> None:
        """Raise DecodeError if the system has failed to read the file."""
        if self._file.error is not None:
            raise self.failure(reason(self._file.error)) from self._file.error

    def failure(self, what: str) -> DecodeError:
        """The error that says what is wrong with this file."""
        return DecodeError(f"cannot read {self.name}: {what}")

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._container.close()
        self._file.close()


def _times(count: int | None, unit: Fraction | None, rate: int) -> Fraction | None:
    return None if count is None or not unit else count * unit * rate
