"""Options of a separation: what is read (`Input`), how good the stems are (`Quality`), what is written (`Output`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from spleeter.audio.adapter import AudioReader
from spleeter.audio.codec import Codec, CodecName, Encoding, parse_codec
from spleeter.configuration import EMBEDDED_PREFIX, Configuration
from spleeter.errors import ConfigurationError, DecodeError, EncodeError, OutputError
from spleeter.pipeline.paths import PLOT, codec_of_format, output_paths
from spleeter.pipeline.selection import Selection, gains_of, names_of
from spleeter.types import AudioDescriptor, PathLike
from spleeter.utils.names import FILENAME_FORMAT
from spleeter.utils.numbers import whole_number

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Bandwidth",
    "Clip",
    "Input",
    "Output",
    "Quality",
    "QualityName",
    "configure",
]

Bandwidth: TypeAlias = Literal["11k", "16k", "full"]
"""The upper edge of the stems: 11 kHz, 16 kHz, or that of the song, so that they sum to it."""

QualityName: TypeAlias = Literal["fast", "balanced", "best"]
"""The presets of `Quality`."""

Clip: TypeAlias = Literal["clamp", "rescale", "none"]
"""What is done about samples beyond full scale: cut them off, scale all of the song's outputs down by one common
gain, or leave them (where the format can hold them)."""

_SAMPLE_RATES = (1_000, 768_000)
"""The least and the greatest sample rate of outputs, in hertz."""

_MAXIMUM_OVERLAP = 0.9
_MAXIMUM_SHIFTS = 64
"""More would begin at the same frames again: the strides of a U-Net repeat after 64."""


@dataclass(frozen=True)
class Quality:
    """What is spent on a separation beyond the original's.

    Attributes:
        overlap: the share of a segment that the next one covers again, from 0 to below 1, and is crossfaded with.
        shifts: how many times the song is separated, each time with the segments lying elsewhere; the mean is taken.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.

    Raises:
        ConfigurationError: if one is out of its range.
    """

    overlap: float = 0.0
    shifts: int = 1
    mwf: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= _MAXIMUM_OVERLAP:
            raise ConfigurationError(f"overlap {self.overlap:g} is out of range: choose 0 to {_MAXIMUM_OVERLAP:g}")
        if self.shifts not in range(1, _MAXIMUM_SHIFTS + 1):
            raise ConfigurationError(
                f"shifts {self.shifts} is out of range: choose a whole number from 1 to {_MAXIMUM_SHIFTS}"
            )

    @classmethod
    def preset(cls, name: str) -> Quality:
        """Look a preset up. Raises ConfigurationError if there is none of this name."""
        if name not in PRESETS:
            raise ConfigurationError(f"unknown quality {name!r}: choose {', '.join(PRESETS)}")
        return PRESETS[name]

    def with_changes(self, overlap: float | None = None, shifts: int | None = None, mwf: bool = False) -> Quality:
        """The same with another overlap and other shifts where they are not None, and with the filter if `mwf`."""
        return Quality(
            self.overlap if overlap is None else overlap,
            self.shifts if shifts is None else shifts,
            self.mwf or mwf,
        )


PRESETS: Mapping[str, Quality] = {
    "fast": Quality(),
    "balanced": Quality(overlap=0.0625, mwf=True),
    "best": Quality(overlap=0.5, shifts=2, mwf=True),
}

DEFAULT_PRESET: QualityName = "balanced"


@dataclass(frozen=True)
class Input:
    """What is read of a song's file.

    Attributes:
        stream: which of its audio streams, from 0 on; None: the one marked as default, else the first.
        keep_start: begin at the container's time zero, with silence until the audio's first sample, so that the stems
            keep to the picture of a video whose sound starts later.

    Raises:
        DecodeError: if `stream` is no such number.
    """

    stream: int | None = None
    keep_start: bool = False

    def __post_init__(self) -> None:
        if self.stream is not None:
            object.__setattr__(self, "stream", whole_number(self.stream, "stream", 0, error=DecodeError))


@dataclass(frozen=True)
class Output:
    """What is written for a song, and how.

    Attributes:
        stems: the instruments, and mixes, to be written; None for every instrument. One name may be a plain string.
        mixes: new name -> the instruments that it sums, or a mapping of each to its linear gain.
        residual: the name of the mixture minus every instrument that another output contains; None for none.
        codec: format of the files; None follows the extension of `filename_format`, and is wav if it has none.
        bitrate: of lossy codecs, e.g. "192k" or 192000. None follows the song's where that is lossy too, and is
            256 kbit/s otherwise.
        bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac. None follows the song: 24 if it is lossless with
            more than 16 bits, else 16.
        clip: what is done about samples beyond full scale: "clamp", "rescale" or "none".
        keep_sample_rate: write at the song's own sample rate instead of the model's.
        sample_rate: write at this sample rate, in hertz, instead of the model's.
        mono: write the mean of the channels.
        filename_format: path below the output folder, from {filename}, {foldername}, {instrument} and {codec}.
        title_stem: have the title tag of each file name its output: "Title (vocals)".
        plot: draw spectrograms and masks of the outputs, as "spectrograms.png" where the stems are.

    Raises:
        OutputError: if `clip` is unknown, or cannot be done with the codec; if the sample rate or a gain is no such
            number; or if options contradict each other.
        EncodeError: if the codec is unknown, or the bit rate, depth or sample rate is none of it.
    """

    stems: Sequence[str] | None = None
    mixes: Mapping[str, Sequence[str] | Mapping[str, float]] = field(default_factory=dict)
    residual: str | None = None
    codec: Codec | CodecName | str | None = None
    bitrate: str | int | None = None
    bit_depth: int | None = None
    clip: Clip = "clamp"
    keep_sample_rate: bool = False
    filename_format: str = FILENAME_FORMAT
    plot: bool = False
    sample_rate: int | None = None
    mono: bool = False
    title_stem: bool = False

    def __post_init__(self) -> None:
        if self.stems is not None:
            object.__setattr__(self, "stems", names_of(self.stems, "stems"))
        object.__setattr__(self, "mixes", gains_of(self.mixes))
        if self.sample_rate is not None:
            self._check_sample_rate()
        if self.clip not in get_args(Clip):
            raise OutputError(f"unknown clip {self.clip!r}: choose {', '.join(get_args(Clip))}")
        encoding = self.encoding
        if self.clip == "none" and encoding.integer_bits is not None:
            raise OutputError(
                f"clip 'none' needs a format that holds samples beyond full scale, and {encoding.integer_bits}-bit "
                f"{encoding.codec} does not; choose wav with bit depth 32, or clip 'clamp' or 'rescale'"
            )

    def rate(self, models: int, songs: int) -> int:
        """The sample rate that is written, out of the model's and the song's, all in hertz."""
        return self.sample_rate or (songs if self.keep_sample_rate else models)

    @property
    def encoding(self) -> Encoding:
        """Codec, bit rate and bit depth of every file."""
        codec = codec_of_format(self.filename_format, None if self.codec is None else parse_codec(self.codec))
        return Encoding(codec, self.bitrate, self.bit_depth)

    def following(self, reader: AudioReader, sample_rate: int, n_channels: int) -> Output:
        """The same with what it leaves to the song filled in: bit rate and bit depth."""
        spec = self.encoding.codec.spec
        changes: dict[str, Any] = {}
        if self.bitrate is None and spec.is_lossy:
            changes["bitrate"] = spec.bitrate_for(
                reader.source_bitrate, spec.sample_rate_for(sample_rate), n_channels
            )
        if self.bit_depth is None and (reader.source_bits or 0) > 16 and 24 in spec.bit_depths:
            changes["bit_depth"] = 24
        return replace(self, **changes)

    def _check_sample_rate(self) -> None:
        rate = whole_number(self.sample_rate, "sample rate", *_SAMPLE_RATES, error=OutputError)
        object.__setattr__(self, "sample_rate", rate)
        if self.keep_sample_rate:
            raise OutputError(f"sample rate {rate} and keeping the song's contradict each other; leave one out")
        codec = self.encoding.codec
        if (possible := codec.spec.sample_rate_for(rate)) != rate:
            raise EncodeError(f"{codec} cannot hold a sample rate of {rate} Hz; choose e.g. {possible}")

    def select(self, instruments: Sequence[str]) -> Selection:
        """The outputs, out of a model's instruments. Raises OutputError if a name is unknown, repeated or unfit."""
        return Selection.choose(instruments, self.stems, self.mixes, self.residual)

    def paths(self, song: AudioDescriptor, folder: PathLike, instruments: Sequence[str]) -> dict[str, Path]:
        """The path of each of a song's outputs, by name, and of its plot, named `PLOT`.

        Raises:
            OutputError: if a name is unfit, or the filename format has other fields or gives two outputs one path.
        """
        names = self.select(instruments).names
        paths = output_paths(song, folder, names, self.encoding.codec, self.filename_format)
        if self.plot:
            (path,) = output_paths(song, folder, ["spectrograms"], "png", self.filename_format).values()
            paths[PLOT] = path if path.suffix == ".png" else path.with_name(f"{path.name}.png")
        return paths


_UPPER_EDGE = {"11k": 11000, "16k": 16000}  # Hz


def configure(
    descriptor: str | Path | Mapping[str, Any] | Configuration,
    *,
    quality: str | Quality | None = None,
    bandwidth: str | None = None,
    precision: str = "float32",
    mwf: bool = False,
    exact: bool = False,
) -> tuple[Configuration, Quality]:
    """Load a configuration, and change it to what is asked for.

    Args:
        descriptor: as `Configuration.load` takes it.
        quality: a preset's name or a `Quality`; None is "balanced".
        bandwidth: the upper edge of the stems. None leaves what a file, folder or mapping says, and is "full" for an
            embedded configuration, such as "spleeter:2stems", because everyone hears the original's cut at 11 kHz.
        precision: what the network is to compute in.
        mwf: whether the Wiener filter is to be used, whatever the quality.
        exact: give the original's samples: the configuration as it is, but for the original's Wiener filter, which
            lets nothing through above F. It goes without the other options, except `mwf`.

    Raises:
        ConfigurationError: if there is no such configuration, quality or bandwidth, if the network cannot reach the
            bandwidth, or if the options contradict each other.
    """
    configuration = Configuration.load(descriptor)
    uses_filter = mwf or configuration.MWF
    if exact:
        if quality is not None or bandwidth is not None or precision != "float32":
            raise ConfigurationError(
                "exact gives the original's samples: leave out quality (overlap, shifts), bandwidth and precision"
            )
        exactly = _change(configuration, mask_extension="zeros") if uses_filter else configuration
        return exactly, Quality(mwf=uses_filter)
    chosen = quality if isinstance(quality, Quality) else Quality.preset(quality or DEFAULT_PRESET)
    if bandwidth is None and isinstance(descriptor, str) and descriptor.startswith(EMBEDDED_PREFIX):
        bandwidth = "full"
    return _with_bandwidth(configuration, bandwidth), chosen.with_changes(mwf=uses_filter)


def _with_bandwidth(configuration: Configuration, bandwidth: str | None) -> Configuration:
    if bandwidth is None:
        return configuration
    if bandwidth not in get_args(Bandwidth):
        raise ConfigurationError(f"unknown bandwidth {bandwidth!r}: choose {', '.join(get_args(Bandwidth))}")
    if bandwidth == "full":
        return _change(configuration, mask_extension="average")
    return _change(configuration, mask_extension="zeros", F=_bins_up_to(bandwidth, configuration))


def _bins_up_to(bandwidth: str, configuration: Configuration) -> int:
    """The least F that reaches an upper edge and that the network takes."""
    rules = configuration.model.rules
    if rules is None or not rules.takes_any_n_bins:
        raise ConfigurationError(
            f"bandwidth {bandwidth!r} is for U-Nets, which take any number of bins; {configuration.model.type!r} is "
            f"bound to {configuration.F}: choose full"
        )
    wanted = _UPPER_EDGE[bandwidth] * configuration.frame_length / configuration.sample_rate
    multiple = rules.size_multiple
    return multiple * min(ceil(wanted / multiple), configuration.n_bins // multiple)


def _change(configuration: Configuration, **keys: object) -> Configuration:
    return Configuration.load({**configuration.to_dict(), **keys})
