"""Waveform blocks -> Ogg Vorbis, through libsndfile: PyAV comes without a Vorbis encoder worth using."""

from __future__ import annotations

import numpy as np
import soundfile

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import Encoding, parse_bitrate
from spleeter.audio.failures import reason
from spleeter.audio.recipes import DEFAULT_BITRATE
from spleeter.types import Waveform
from spleeter.utils.whole_file import PartialFile

_FRAME = 1 << 16
"""Samples handed to libsndfile at once; one long write has crashed it."""

_MAX_CHANNELS = 2  # more would have to be put in Vorbis's own order

_LEAST_RATE, _MOST_RATE = 8_000, 192_000
"""libvorbis has settings for these, in hertz; beyond them, libsndfile crashes."""

_NOMINAL = {
    1: (48_000, 60_000, 70_000, 80_000, 86_000, 96_000, 110_000, 120_000, 140_000, 160_000, 240_000),
    2: (64_000, 80_000, 96_000, 112_000, 128_000, 160_000, 192_000, 224_000, 256_000, 320_000, 500_000),
}
"""Bits per second that the qualities 0 to 10 aim at, mono and stereo at 44.1 and 48 kHz (libvorbis, setup_44*.h)."""

_TAGS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "date": "date",
    "genre": "genre",
    "track": "tracknumber",
    "comment": "comment",
    "copyright": "copyright",
}
"""FFmpeg's names of the tags that libsndfile can write -> libsndfile's."""


class VorbisEncoder:
    """Encodes blocks into a file. Tags are written as far as libsndfile knows them, the cover is not.

    Args as for `FFmpegEncoder`. The bit rate becomes the quality that aims at it at 44.1 kHz.

    Raises:
        EncodeError: if Vorbis cannot hold such sound.
    """

    def __init__(
        self, file: PartialFile, sample_rate: int, n_channels: int, encoding: Encoding, metadata: AudioMetadata
    ) -> None:
        if not 1 <= n_channels <= _MAX_CHANNELS:
            raise file.failure(f"ogg holds 1 to {_MAX_CHANNELS} channels, not {n_channels}")
        self._file = file
        self.sample_rate = max(_LEAST_RATE, min(sample_rate, _MOST_RATE))
        """What the blocks have to be resampled to first."""
        try:
            self._sound = soundfile.SoundFile(
                file,
                "w",
                self.sample_rate,
                n_channels,
                format="OGG",
                subtype="VORBIS",
                compression_level=_compression_level(encoding.bitrate, n_channels),
            )
            for name, field in _TAGS.items():
                if name in metadata.tags:
                    setattr(self._sound, field, metadata.tags[name].encode("utf-8", "replace").decode())
        except (soundfile.SoundFileError, ValueError) as error:
            raise file.failure(f"the ogg encoder cannot do {self.sample_rate} Hz ({reason(error)})") from error

    def encode(self, block: Waveform) -> None:
        """Encode a block (samples, channels). Raises EncodeError."""
        try:
            for begin in range(0, len(block), _FRAME):
                self._sound.write(np.ascontiguousarray(block[begin : begin + _FRAME], np.float32))
        except (soundfile.SoundFileError, ValueError) as error:
            raise self._file.failure(f"the ogg encoder failed ({reason(error)})") from error

    def finish(self) -> None:
        """Encode what is left, and complete the file. Raises EncodeError."""
        try:
            self._sound.close()
        except (soundfile.SoundFileError, ValueError) as error:
            raise self._file.failure(f"the ogg encoder failed ({reason(error)})") from error


def _compression_level(bitrate: str | None, n_channels: int) -> float:
    """libsndfile's level, 0 (quality 10) to 1 (quality 0), for a bit rate."""
    wanted = DEFAULT_BITRATE if bitrate is None else parse_bitrate(bitrate)
    quality = float(np.interp(wanted, _NOMINAL[n_channels], range(11)))
    return 1.0 - quality / 10.0
