"""The output formats, in one table with one row each; and what an output file is encoded as."""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias

from spleeter.errors import EncodeError
from spleeter.types import FileTarget
from spleeter.utils.names import short
from spleeter.utils.numbers import whole_number

__all__ = [
    "AUDIO_EXTENSIONS",
    "Codec",
    "CodecName",
    "CodecSpec",
    "Encoding",
    "codec_of",
    "parse_bitrate",
    "parse_codec",
]

CodecName: TypeAlias = Literal["wav", "mp3", "ogg", "m4a", "wma", "flac", "opus"]
"""The values of `Codec`, for type checkers and editors."""

_DEFAULT_BITRATE = 256_000
"""Bits per second of the lossy codecs, where none is asked for."""

_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_AAC_RATES = (7_350, *_MPEG_RATES, 64_000, 88_200, 96_000)


@dataclass(frozen=True)
class CodecSpec:
    """The facts about a codec: how it is encoded, and what it can hold."""

    container: str
    """FFmpeg's name of the muxer, or libsndfile's of the format."""
    encoders: Mapping[int | None, str]
    """Bit depth -> FFmpeg's name of the encoder, or libsndfile's of the subtype; the first is the default. The depth
    32 means float; lossy codecs have one encoder, of depth None."""
    library: Literal["ffmpeg", "libsndfile"] = "ffmpeg"
    """Which library encodes it."""
    sample_rates: Sequence[int] | None = None
    """The sample rates that it can hold, in hertz, ascending; None: any."""
    max_channels: int = 2
    bitrates: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    """Sample rate in hertz -> from there on, the least bit rate that the encoder has, and the greatest with one and
    with two channels, all in bits per second; empty for lossless codecs."""
    has_info_chunk: bool = False
    """Whether the muxer is given the tags too: WAV's INFO chunk, for players that do not know of ID3 in WAV."""
    n_priming_frames: int = 0
    """Frames that decoders drop at the start without the file saying so: the encoder is given silence for them."""
    has_end_padding: bool = False
    """Whether the muxer must be given the number of padding samples at the end (MP3's LAME tag)."""
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's options of the muxer; {rate} stands for the sample rate."""

    @property
    def bit_depths(self) -> tuple[int, ...]:
        """The bit depths to choose from, the default first; none for a lossy codec."""
        return tuple(depth for depth in self.encoders if depth is not None)

    @property
    def is_lossy(self) -> bool:
        """Whether decoding gives other samples than were encoded, beyond rounding."""
        return not self.bit_depths

    def sample_rate_for(self, sample_rate: int) -> int:
        """The lowest sample rate that it can hold from `sample_rate` on, else its highest, in hertz."""
        if self.sample_rates is None:
            return sample_rate
        return self.sample_rates[min(bisect_left(self.sample_rates, sample_rate), len(self.sample_rates) - 1)]

    def bitrate_for(self, bitrate: int | None, sample_rate: int, n_channels: int) -> int:
        """The nearest bit rate that the encoder has, in bits per second; None asks for 256 kbit/s."""
        least, *most = [row for rate, row in self.bitrates.items() if rate <= sample_rate][-1]
        return max(least, min(bitrate or _DEFAULT_BITRATE, most[n_channels - 1]))


class Codec(StrEnum):
    """The output formats, a row each; a member's value is its name and the file's extension."""

    spec: CodecSpec

    def __new__(cls, extension: str, spec: CodecSpec | None = None) -> Codec:
        assert spec is not None, "Codec(value) looks a member up, and does not come here"
        member = str.__new__(cls, extension)
        member._value_, member.spec = extension, spec
        return member

    # RF64 replaces RIFF, whose sizes end at 4 GiB, where it has to.
    WAV = (
        "wav",
        CodecSpec(
            "wav",
            {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"},
            max_channels=64,
            has_info_chunk=True,
            muxer_options={"rf64": "auto"},
        ),
    )
    MP3 = (
        "mp3",
        CodecSpec(
            "mp3",
            {None: "libmp3lame"},
            sample_rates=_MPEG_RATES,
            bitrates={
                8_000: (8_000, 64_000, 64_000),
                16_000: (8_000, 160_000, 160_000),
                32_000: (32_000, 320_000, 320_000),
            },
            has_end_padding=True,
        ),
    )
    # PyAV's FFmpeg has no Vorbis encoder worth using. Beyond these rates libsndfile crashes; more than two channels
    # would have to be put in Vorbis's own order.
    OGG = (
        "ogg",
        CodecSpec(
            "OGG",
            {None: "VORBIS"},
            "libsndfile",
            sample_rates=range(8_000, 192_001),
            bitrates={8_000: (48_000, 240_000, 500_000)},
        ),
    )
    # The edit list, which says where the audio begins and ends, counts in units of the movie's time scale.
    # FFmpeg's muxer "ipod", which sets the brand by itself, has no room for covers.
    M4A = (
        "m4a",
        CodecSpec(
            "mp4",
            {None: "aac"},
            sample_rates=_AAC_RATES,
            bitrates={7_350: (8_000, 264_000, 529_000)},
            muxer_options={"movie_timescale": "{rate}", "brand": "M4A "},
        ),
    )
    WMA = (
        "wma",
        CodecSpec(
            "asf",
            {None: "wmav2"},
            sample_rates=_MPEG_RATES,
            bitrates={8_000: (24_000, 320_000, 320_000)},
            n_priming_frames=1,
        ),
    )
    FLAC = "flac", CodecSpec("flac", {16: "flac", 24: "flac"}, max_channels=8)
    # Opus encodes other rates too, but is always decoded to this one.
    OPUS = (
        "opus",
        CodecSpec("opus", {None: "libopus"}, sample_rates=(48_000,), bitrates={48_000: (6_000, 256_000, 512_000)}),
    )


AUDIO_EXTENSIONS = frozenset(
    {
        *(f".{codec}" for codec in Codec),
        ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".ape", ".au", ".avi", ".caf", ".m4v",
        ".mka", ".mkv", ".mov", ".mp2", ".mp4", ".mpg", ".mpeg", ".oga", ".ogv", ".ts",
        ".tta", ".webm", ".wmv", ".wv",
    }
)  # fmt: skip
"""The extensions of the files in a folder that are taken for songs. A file that is named itself may have any."""

_BITRATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmM]?)\s*")
_LONGEST_BITRATE = 30
_MULTIPLE = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True)
class Encoding:
    """How to encode an output file.

    `bitrate` is the original's string ("128k", "320k", "96000", "1.5M") and concerns the lossy codecs;
    `bit_depth` is 16, 24 or 32 (float) for wav, 16 or 24 for flac, and must be None for the others.

    Raises:
        EncodeError: if one of them is not such a value.
    """

    codec: Codec = Codec.WAV
    bitrate: str | int | None = None
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", parse_codec(self.codec))
        bitrate = None if self.bitrate is None else parse_bitrate(self.bitrate)
        rows = self.codec.spec.bitrates.values()
        least, most = min((row[0] for row in rows), default=0), max((row[-1] for row in rows), default=math.inf)
        if bitrate is not None and not least <= bitrate <= most:
            raise EncodeError(
                f"{self.codec} has bit rates from {least // 1000}k to {most / 1000:.0f}k, not {short(self.bitrate)}"
            )
        allowed = self.codec.spec.bit_depths
        if self.bit_depth is None:
            return
        object.__setattr__(self, "bit_depth", whole_number(self.bit_depth, "bit depth", 0, error=EncodeError))
        if self.bit_depth not in allowed:
            choice = f"choose {' or '.join(map(str, allowed))}" if allowed else "leave it out"
            raise EncodeError(f"{self.codec} cannot be written with a bit depth of {self.bit_depth}; {choice}")

    @property
    def encoder(self) -> str:
        """The library's name of the encoder for this bit depth."""
        encoders = self.codec.spec.encoders
        return encoders[self.bit_depth or next(iter(encoders))]

    @property
    def integer_bits(self) -> int | None:
        """The size of the integers that the samples are kept as; None for floats and lossy codecs."""
        bits = self.bit_depth or next(iter(self.codec.spec.encoders))
        return bits if bits is not None and bits < 32 else None


def parse_codec(name: str) -> Codec:
    """Look a codec up by its name. Raises EncodeError."""
    try:
        return Codec(str(name).lower())
    except ValueError as error:
        raise EncodeError(f"unknown codec {short(str(name))}; the known ones are {', '.join(Codec)}") from error


def codec_of(file: FileTarget) -> Codec:
    """The codec that a path's extension names. Raises EncodeError if it names none, or `file` is a file object."""
    if not isinstance(file, str | bytes | os.PathLike):
        raise EncodeError("a file object has no extension that names a codec: give the codec, e.g. Codec.WAV")
    name = Path(os.fsdecode(file)).name
    extension = Path(name).suffix.removeprefix(".").lower()
    if extension in set(Codec):
        return Codec(extension)
    raise EncodeError(
        f"the extension of {short(name)} names no codec; "
        f"use one of {', '.join('.' + c for c in Codec)}, or name the codec"
    )


def parse_bitrate(bitrate: str | float) -> int:
    """Read a bit rate ("128k", "96000", "1.5M", 96000) in bits per second. Raises EncodeError."""
    match = _BITRATE.fullmatch(str(bitrate)[:_LONGEST_BITRATE])
    if match is None:
        raise EncodeError(f"bit rate {short(bitrate)} is not a number of bits per second; write e.g. 128k or 96000")
    parsed = round(float(match[1]) * _MULTIPLE[match[2].lower()])
    if parsed < 1_000:
        raise EncodeError(f"bit rate {short(bitrate)} is below 1000 bits per second; did you mean {match[1]}k?")
    return parsed
