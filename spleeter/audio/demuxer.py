"""An audio file -> its packets: the container opened, its audio stream chosen, its header read, its metadata kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
from av.stream import Discard, Disposition

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.files import AV_ERRORS, InputFile
from spleeter.audio.metadata import musical_tags
from spleeter.audio.ogg import ogg_has_one_page, ogg_is_cut, ogg_links
from spleeter.audio.riff import declared_end, holds_more, read_wav_header
from spleeter.audio.tags import read_tags
from spleeter.audio.timeline import Clock
from spleeter.types import FileSource
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason

__all__ = ["Demuxer"]

_READ_SIZE = 1 << 18
"""Bytes asked from the file in one read."""

_NO_OTHER_FILES = {"protocol_whitelist": "none"}
"""Keeps FFmpeg from opening what a playlist names, other files and addresses."""

_EXACT_AFTER_SEEK = frozenset(("flac", "alac", "tta", "wavpack", "mp3", "mp3float", "vorbis"))
"""Decoders that give, a second after a seek, the same bits as decoding from the start; so does PCM.

AAC, AC-3 and WMA draw pseudo-random numbers, and Opus filters recursively: all that came before counts.
"""


_KEEP_BYTES: dict[str, Any] = {} if int(av.__version__.split(".")[0]) > 18 else {"metadata_errors": "surrogateescape"}
"""Makes PyAV 18 decode tags as later versions do: bytes that are no UTF-8 become surrogates, not errors."""

_MIN_RATE, _MAX_RATE = 1_000, 1_000_000
_MAX_CHANNELS = 64
"""Hertz and channels of real recordings; what a header claims beyond would take memory without bound."""

_SEEKABLE_CONTAINERS = frozenset(("wav", "w64", "aiff", "au", "caf", "flac", "mp3", "ogg", "mov", "tta", "wv"))
"""Containers in which FFmpeg's seeking lands where the time stamps say."""

_WITHOUT_TIME_STAMPS = frozenset(("mp3", "aac", "ac3", "eac3", "dts", "loas"))
"""Streams without a container. FFmpeg counts their samples, those of encoder delays that it drops included."""

_WITH_DURATION = frozenset(("matroska", "mov", "flv", "asf"))
"""Containers whose header tells the duration, in units coarser than samples, instead of having FFmpeg guess."""

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
            self._tags = read_tags(self.file) if self.file.seekable() else None
            self._links = ogg_links(self.file) if self.file.seekable() else []
            self._n_links_begun, self._has_one_page = 0, False
            try:
                self._wav = read_wav_header(self.file) if self.file.seekable() else None
            except ValueError as error:  # FFmpeg would walk over all chunks, for hours
                raise self.file.failure(f"not an audio file ({error})") from error
            if self._wav is not None and self._wav.valid_bits_at is not None:
                self.file.patch(self._wav.valid_bits_at, b"\x20\0")  # FFmpeg takes 24 in 32 bits for odd floats
            if self._wav is not None and self._wav.is_wrapped:
                self.file.patch(self._wav.data_begin - 4, b"\xff" * 4)  # up to the end of what is read
            self.rewind()
            self._warn_of_uncounted()
        except BaseException:
            self.file.close()
            raise

    def _warn_of_uncounted(self) -> None:
        """Warn of samples behind those that the header counts. The file's position stays."""
        if not self.file.seekable():
            return
        position = self.file.tell()
        label, is_longer = self.file.label, "is longer than its header says"
        if self._wav is not None and self._wav.is_pcm and self._wav.n_uncounted:
            seconds = self._wav.n_uncounted / max(1, self._wav.frame_size * self.stream.sample_rate)
            logger.warning(f"{label} {is_longer}: its last {seconds:.2f} s are left out")
        elif self._container_name in ("aiff", "w64"):
            end = declared_end(self.file, self._container_name)
            if end is not None and holds_more(self.file, end):
                logger.warning(f"{label} {is_longer}: what follows byte {end} is left out")
        self.file.seek(position)

    def rewind(self) -> None:
        """Start again at the beginning of a seekable file."""
        self._n_links_begun = 0
        if self._links:
            self.next_link()
            return
        if self._wav is not None and self._wav.data_size is not None and self._wav.is_wrapped:
            self.file.narrow(0, self._wav.data_begin + self._wav.data_size)
        elif self.file.seekable():
            self.file.seek(0)
        self._open_container()

    def next_link(self) -> bool:
        """Go on to the next link of a chained Ogg file; False if there is none. Raises DecodeError."""
        if self._n_links_begun == len(self._links):
            return False
        self.file.narrow(0)
        link = self._links[self._n_links_begun]
        self._n_links_begun += 1
        self._has_one_page = ogg_has_one_page(self.file, *link)
        self.file.narrow(*link)
        self._open_container()
        return True

    @property
    def is_chained(self) -> bool:
        """Whether this is an Ogg file of several links, of any formats, which follow each other without a gap."""
        return len(self._links) > 1

    def _open_container(self) -> None:
        try:
            self._container = self._open_recognised()
        except AV_ERRORS as error:
            self.file.check()
            raise self.file.failure(self._why_not(error)) from error
        if self._container.format.name in _SYNTHESISERS:
            raise self.file.failure("not an audio file (a script to synthesise audio from)")
        self.stream = self._choose_stream()
        unit = self.stream.time_base
        self.time_base = Fraction(unit.numerator, unit.denominator) if unit else None
        """Seconds per unit of the time stamps; None if the container has none."""
        self._check_storage()
        self.check_format(self.stream.sample_rate, self.stream.channels)
        self._first, cover = self._read_cover()
        for stream in self._container.streams:
            if stream is not self.stream:
                stream.discard = Discard.all  # spares reading a video's images
        if self._n_links_begun <= 1:
            tags = [_without_surrogates(tags) for tags in (self._container.metadata, self.stream.metadata)]
            self.metadata = self._tags or AudioMetadata(musical_tags(*tags), cover)

    def check_format(self, sample_rate: int, n_channels: int) -> None:
        """Raise DecodeError for a rate or a number of channels that no recording has, which would take up memory."""
        if sample_rate and not _MIN_RATE <= sample_rate <= _MAX_RATE:
            raise self.file.failure(f"its sample rate is {sample_rate} Hz; {_MIN_RATE} to {_MAX_RATE} Hz are read")
        if n_channels > _MAX_CHANNELS:
            raise self.file.failure(f"it has {n_channels} channels; up to {_MAX_CHANNELS} are read")

    def _check_storage(self) -> None:
        """Raise DecodeError for PCM samples that FFmpeg would take apart at the wrong bytes, and play as noise."""
        wav, codec = self._wav, self.stream.codec_context.name
        n_bytes, n_stored = 0, 0.0
        if wav is not None and wav.is_pcm and wav.bits and wav.n_channels:
            n_bytes, n_stored = -(-wav.bits // 8), wav.frame_size / wav.n_channels
        if codec == "pcm_f24le" or (n_stored > n_bytes and n_stored.is_integer()):
            where = f"{wav.bits} bits in {n_stored:g} bytes" if wav is not None else "24 bits in 4 bytes"
            raise self.file.failure(f"samples of {where} each are not understood; convert it to plain WAV or FLAC")

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
        opened: av.container.InputContainer = av.open(
            self.file,
            "r",
            container,
            container_options=_NO_OTHER_FILES,
            buffer_size=_READ_SIZE,
            **_KEEP_BYTES,
        )
        return opened

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
            kind = "" if self._wav is None else f" (WAV format {self._wav.tag:#06x}, {self._wav.bits} bits)"
            raise self.file.failure(f"it has no audio stream that can be decoded{kind}")
        if number is not None and not 0 <= number < len(streams):
            there_are = ", ".join(f"{i} ({_description(stream)})" for i, stream in enumerate(streams))
            raise self.file.failure(f"it has no audio stream {number}; choose of {there_are}")
        default = next((s for s in streams if Disposition.default & s.disposition), streams[0])
        chosen = default if number is None else streams[number]
        if chosen.codec_context.name == "flac":
            # Damaged frames are refused rather than played as noise.
            chosen.codec_context.options = {"err_detect": "crccheck+explode"}
        elif self._has_one_page and chosen.codec_context.name == "vorbis":
            chosen.codec_context.options = {"flags2": "+skip_manual"}
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
    def clock(self) -> Clock:
        """Where the time stamps come from."""
        if self._container_name in _WITHOUT_TIME_STAMPS:
            return Clock.NONE
        return Clock.GUESSED if self.stream.codec_context.name == "vorbis" else Clock.STORED

    @property
    def is_pcm(self) -> bool:
        """Whether the samples are stored as they are: only then can NaN be what somebody wrote."""
        return self.stream.codec_context.name.startswith("pcm_")

    @property
    def _counts_samples(self) -> bool:
        """Whether the container counts samples; CAF counts packets, of which only some codecs' are of one length."""
        return self._container_name != "caf" or self.is_pcm or self.stream.codec_context.name == "alac"

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
        if self._wav is not None and self._wav.length is not None:
            return self._wav.length
        samples = _in_samples(self.stream.duration, self.time_base, sample_rate)
        if samples is None or samples.denominator != 1 or self._container_name not in _WITH_LENGTH:
            return None
        return int(samples) if self._counts_samples else None

    def declared_seconds(self) -> float | None:
        """The duration of the audio that the header tells in seconds, None if it tells none."""
        if self._container_name not in _WITH_DURATION or self.time_base is None:
            return None
        start = float((self.stream.start_time or 0) * self.time_base)
        if self.stream.duration is not None:
            return float(self.stream.duration * self.time_base)
        if clock := re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", self.stream.metadata.get("DURATION", "")):
            return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3]) - start
        streams = [s for s in self._container.streams if not Disposition.attached_pic & s.disposition]
        if len(streams) > 1 or self._container.duration is None:
            return None  # the container lasts as long as its longest stream
        return self._container.duration / av.time_base - start

    def estimated_length(self, sample_rate: int) -> int | None:
        """Samples per channel according to the header or FFmpeg's guess; None if there is neither."""
        if self.is_chained:
            return None
        if self._wav is not None and self._wav.is_wrapped:
            return self._wav.length
        samples = _in_samples(self.stream.duration, self.time_base, sample_rate)
        if samples is None:
            samples = _in_samples(self._container.duration, Fraction(1, av.time_base), sample_rate)
        return None if samples is None else max(0, round(samples))

    @property
    def has_first_frame_to_drop(self) -> bool:
        """Whether the first frame, of the encoder's delay, and the padding of the last are left in.

        Where one page holds all of a Vorbis stream, FFmpeg would drop the last samples of the music in their place.
        """
        return self._has_one_page and self.stream.codec_context.name == "vorbis"

    def padding_start(self, sample_rate: int, first: int | None) -> int | None:
        """The time, in samples, from which the last frame may hold padding; None if FFmpeg removes padding by itself.

        It does not where MP4 gives the end by the stream's length alone, and where MP3's padding is longer than a
        frame. `first` is the time stamp of the first frame.
        """
        kind = self._container_name, self.stream.codec_context.name
        length, start = None, self.stream.start_time or 0
        if self.has_first_frame_to_drop:
            samples = _in_samples(self.stream.duration, self.time_base, sample_rate)
            length, start = None if samples is None else round(samples), first or 0
        elif kind[0] == "mp3" or kind in (("mov", "aac"), ("mov", "opus")):
            length = self.declared_length(sample_rate)
        begin = _in_samples(start, self.time_base, sample_rate)
        return None if length is None or begin is None else round(begin) + length

    def is_cut(self) -> bool:
        """Whether the file ends before the last of its pages or chunks does, where that can be told."""
        if self._links:
            return ogg_is_cut(self.file, self._links[-1][1])
        if not self.file.seekable():
            return False
        if self._wav is not None:
            end = None if self._wav.data_size is None else self._wav.data_begin + self._wav.data_size
        else:
            end = declared_end(self.file, self._container_name)
        return end is not None and end > self.file.seek(0, os.SEEK_END)

    def lead(self, first: int | None, sample_rate: int) -> int:
        """Samples by which the audio, whose first time stamp is `first`, begins later than the file."""
        starts: list[Fraction] = [
            s.start_time * Fraction(s.time_base.numerator, s.time_base.denominator)
            for s in self._container.streams
            if s.type == "video" and s.start_time is not None and s.time_base and s is not self.stream
        ]
        if first is None or self.time_base is None or not starts:
            return 0
        return max(0, round((first * self.time_base - max(Fraction(0), min(starts))) * sample_rate))

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
        exact_decoder = self.is_pcm or self.stream.codec_context.name in _EXACT_AFTER_SEEK
        exact_times = self.time_base is not None and (1 / (self.time_base * sample_rate)).denominator == 1
        return (
            self.file.seekable()
            and not self.is_chained
            and not self._has_one_page
            and self._container_name in _SEEKABLE_CONTAINERS
            and self._counts_samples
            and exact_decoder
            and exact_times
        )

    def seek(self, time_stamp: int) -> None:
        """Go to the last packet before a time, in the stream's time base. Raises AV_ERRORS."""
        self._first = None
        self._container.seek(time_stamp, stream=self.stream)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._container.close()
        self.file.close()


def _without_surrogates(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as text that can be written and printed: bytes that were no UTF-8 become replacement characters."""
    return {key: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for key, value in tags.items()}


def _description(stream: av.AudioStream) -> str:
    """An audio stream in a message: its title or language, where it has one, and its codec."""
    names = [stream.metadata.get("title", ""), stream.language or "", stream.codec_context.name]
    return ", ".join(display_name(name) for name in names if name)


def _in_samples(count: int | None, unit: Fraction | None, sample_rate: int) -> Fraction | None:
    """A time of so many units, in seconds each, in samples; None if the container has none."""
    return None if count is None or not unit else count * unit * sample_rate
