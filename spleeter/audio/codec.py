"""What an output file is encoded as: codec, bit rate, bit depth."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spleeter.errors import EncodeError
from spleeter.types import PathLike


class Codec(StrEnum):
    """The output formats; a member's value is also the file's extension."""

    WAV = "wav"
    MP3 = "mp3"
    OGG = "ogg"
    M4A = "m4a"
    WMA = "wma"
    FLAC = "flac"
    OPUS = "opus"


BIT_DEPTHS: dict[Codec, tuple[int, ...]] = {Codec.WAV: (16, 24, 32), Codec.FLAC: (16, 24)}
"""The bit depths a lossless codec can be written with; 32 means float. The first is the default."""

_BITRATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmM]?)\s*")
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
    bitrate: str | None = "128k"
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", parse_codec(self.codec))
        if self.bitrate is not None:
            parse_bitrate(self.bitrate)
        allowed = BIT_DEPTHS.get(self.codec, ())
        if self.bit_depth is not None and self.bit_depth not in allowed:
            choice = f"choose {' or '.join(map(str, allowed))}" if allowed else "leave it out"
            raise EncodeError(f"{self.codec} cannot be written with a bit depth of {self.bit_depth}; {choice}")

    @property
    def integer_bits(self) -> int | None:
        """The size of the integers that the samples are kept as; None for floats and lossy codecs."""
        bits = self.bit_depth or BIT_DEPTHS.get(self.codec, (32,))[0]
        return bits if bits < 32 else None


def parse_codec(name: str) -> Codec:
    """Look a codec up by its name. Raises EncodeError."""
    try:
        return Codec(str(name).lower())
    except ValueError as error:
        raise EncodeError(f"unknown codec {str(name)!r}; the known ones are {', '.join(Codec)}") from error


def codec_of(path: PathLike) -> Codec:
    """The codec that a path's extension names. Raises EncodeError if it names none."""
    name = Path(os.fsdecode(path)).name
    extension = Path(name).suffix.removeprefix(".").lower()
    if extension in set(Codec):
        return Codec(extension)
    raise EncodeError(
        f"the extension of {name!r} names no codec; use one of {', '.join('.' + c for c in Codec)}, or name the codec"
    )


def parse_bitrate(text: str) -> int:
    """Read a bit rate ("128k", "96000", "1.5M") in bits per second. Raises EncodeError."""
    match = _BITRATE.fullmatch(text)
    if match is None:
        raise EncodeError(f"bit rate {text!r} is not a number of bits per second; write e.g. 128k or 96000")
    bitrate = round(float(match[1]) * _MULTIPLE[match[2].lower()])
    if bitrate < 1_000:
        raise EncodeError(f"bit rate {text!r} is below 1000 bits per second; did you mean {match[1]}k?")
    return bitrate
