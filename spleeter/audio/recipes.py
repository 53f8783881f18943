"""Each codec as FFmpeg knows it, and what it can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spleeter.audio.codec import Codec, Encoding, parse_bitrate

DEFAULT_BITRATE = 128_000
"""Bits per second of the lossy codecs, where none is asked for."""

_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_AAC_RATES = (7_350, *_MPEG_RATES, 64_000, 88_200, 96_000)
_OPUS_RATES = (48_000,)  # it takes others, but is always decoded to this one


@dataclass(frozen=True)
class Recipe:
    """How FFmpeg's libraries are told to make one kind of file."""

    muxer: str
    encoder: str
    integer_bits: int | None = None
    """The encoder is given integers of this size; None: floats."""
    sample_rates: tuple[int, ...] | None = None
    """The rates it can hold, ascending; None: any."""
    max_channels: int = 2
    bitrates: tuple[int, int] = (1, 1 << 30)
    """Least, and most a channel, that the encoder accepts, in bits per second."""
    n_priming_frames: int = 0
    """Frames that decoders drop at the start, without the file saying so: silence is put there."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The muxer's options; {rate} stands for the sample rate."""

    def sample_rate_for(self, sample_rate: int) -> int:
        """The lowest rate it can hold that loses nothing of the wanted one, else its highest."""
        if self.sample_rates is None:
            return sample_rate
        return next((rate for rate in self.sample_rates if rate >= sample_rate), self.sample_rates[-1])

    def bitrate_for(self, wanted: str | None, n_channels: int) -> int:
        """The wanted bit rate, or the nearest that the encoder accepts."""
        least, most_a_channel = self.bitrates
        bitrate = DEFAULT_BITRATE if wanted is None else parse_bitrate(wanted)
        return max(least, min(bitrate, most_a_channel * n_channels))


_WAV_ENCODERS = {16: "pcm_s16le", 24: "pcm_s24le", None: "pcm_f32le"}

_LOSSY = {
    Codec.MP3: Recipe("mp3", "libmp3lame", sample_rates=_MPEG_RATES),
    # The edit list, which says where the sound begins and ends, counts in units of the movie's time scale.
    # FFmpeg's muxer "ipod", which sets the brand by itself, has no room for covers.
    Codec.M4A: Recipe("mp4", "aac", sample_rates=_AAC_RATES, options={"movie_timescale": "{rate}", "brand": "M4A "}),
    Codec.OPUS: Recipe("opus", "libopus", sample_rates=_OPUS_RATES, bitrates=(6_000, 256_000)),
    Codec.WMA: Recipe("asf", "wmav2", sample_rates=_MPEG_RATES, bitrates=(24_000, 1 << 30), n_priming_frames=1),
}


def recipe_for(encoding: Encoding) -> Recipe:
    """The recipe for an encoding; Ogg Vorbis has none, it is not FFmpeg that makes it."""
    bits = encoding.integer_bits
    if encoding.codec is Codec.WAV:
        # RF64 takes over from RIFF, whose sizes end at 4 GiB, where it has to.
        return Recipe("wav", _WAV_ENCODERS[bits], bits, max_channels=64, options={"rf64": "auto"})
    if encoding.codec is Codec.FLAC:
        return Recipe("flac", "flac", bits, max_channels=8)
    return _LOSSY[encoding.codec]
