"""What an output file is encoded as: codec, bit rate, bit depth."""

from dataclasses import dataclass
from enum import StrEnum


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
"""The bit depths a lossless codec can be written with; 32 means float."""


@dataclass(frozen=True)
class Encoding:
    """How to encode an output file.

    `bitrate` is the original's string ("128k", "320k", "96000") and concerns the lossy codecs;
    `bit_depth` is 16, 24 or 32 (float) for wav, 16 or 24 for flac, and must be None for the others.
    """

    codec: Codec = Codec.WAV
    bitrate: str | None = "128k"
    bit_depth: int | None = None
