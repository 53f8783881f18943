"""Options of a separation that several commands share: model, quality, bandwidth, device, precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from typer import Option

from spleeter.cli.help import MACHINE, ORIGINAL, SOUND

if TYPE_CHECKING:
    from spleeter.backends.base import Precision
    from spleeter.configuration import Configuration
    from spleeter.pipeline.options import Bandwidth, Quality, QualityName
    from spleeter.separator import Separator

__all__ = [
    "BandwidthOption",
    "DeviceOption",
    "ExactOption",
    "ModelOption",
    "MwfOption",
    "OverlapOption",
    "PrecisionOption",
    "QualityOption",
    "SeparationOptions",
    "ShiftsOption",
]

ModelOption: TypeAlias = Annotated[
    str,
    Option(
        "--model",
        "-p",
        metavar="MODEL",
        help="spleeter:2stems, spleeter:4stems, spleeter:5stems; or a JSON configuration file, or the folder of a "
        "trained model.",
        rich_help_panel=SOUND,
    ),
]
MwfOption: TypeAlias = Annotated[
    bool,
    Option(
        "--mwf",
        "-m",
        help="Use the multichannel Wiener filter; the qualities balanced and best do so anyway.",
        rich_help_panel=ORIGINAL,
    ),
]
QualityOption: TypeAlias = Annotated[
    Literal["fast", "balanced", "best"] | None,
    Option(
        "--quality",
        "-q",
        help="Quality of the stems against time. fast: ratio masks; balanced: overlapping segments, crossfaded, and "
        "the Wiener filter; best: larger overlap, and the mean of two shifts.",
        show_default="balanced",
        rich_help_panel=SOUND,
    ),
]
OverlapOption: TypeAlias = Annotated[
    float | None,
    Option(
        "--overlap",
        metavar="FRACTION",
        help="Fraction of a segment that overlaps the next one and is crossfaded with it: 0 to 0.9.",
        show_default="the quality's",
        rich_help_panel=SOUND,
    ),
]
ShiftsOption: TypeAlias = Annotated[
    int | None,
    Option(
        "--shifts",
        metavar="N",
        help="Average N separations, each with the segments shifted in time.",
        show_default="the quality's",
        rich_help_panel=SOUND,
    ),
]
BandwidthOption: TypeAlias = Annotated[
    Literal["11k", "16k", "full"] | None,
    Option(
        "--bandwidth",
        help="Upper edge of the stems' spectrum, in Hz.",
        show_default="full; for a JSON file or folder: its own",
        rich_help_panel=SOUND,
    ),
]
ExactOption: TypeAlias = Annotated[
    bool,
    Option(
        "--exact",
        help="Reproduce the samples of the original Spleeter; not with --quality, --overlap, --shifts, --bandwidth "
        "or --precision.",
        rich_help_panel=ORIGINAL,
    ),
]
DeviceOption: TypeAlias = Annotated[
    str,
    Option(
        "--device",
        metavar="DEVICE",
        help="Device to compute on: auto, cpu, cuda, cuda:N or mps.",
        rich_help_panel=MACHINE,
    ),
]
PrecisionOption: TypeAlias = Annotated[
    Literal["float32", "bfloat16", "float16"],
    Option(
        "--precision",
        help="Data type of the network's arithmetic; half precision is faster where the device supports it.",
        rich_help_panel=MACHINE,
    ),
]


@dataclass(frozen=True)
class SeparationOptions:
    """The values of these options, as they were given."""

    model: str
    mwf: bool
    quality: QualityName | None
    overlap: float | None
    shifts: int | None
    bandwidth: Bandwidth | None
    exact: bool
    device: str
    precision: Precision
    threads: int | None
    model_code: list[str] | None

    def configure(self) -> Configuration:
        """Check the options, and load the configuration they ask for; no device and no model yet.

        Raises:
            ConfigurationError: if there is no such configuration, or the options contradict each other.
        """
        from spleeter.pipeline.options import configure

        configuration, _ = configure(
            self.model,
            quality=self._quality(),
            bandwidth=self.bandwidth,
            precision=self.precision,
            mwf=self.mwf,
            exact=self.exact,
        )
        return configuration

    def open_separator(self) -> Separator:
        """Choose the device; the model is loaded later. Raises ConfigurationError, DeviceError."""
        from spleeter.separator import Separator

        return Separator(
            self.model,
            self.mwf,
            device=self.device,
            precision=self.precision,
            quality=self._quality(),
            bandwidth=self.bandwidth,
            exact=self.exact,
            threads=self.threads,
            trust=self.model_code or (),
        )

    def method_name(self) -> str:
        """The model and the options that were given, as a name for folders and tables: "2stems-best-mwf"."""
        options = {
            "exact": self.exact,
            self.quality: self.quality,
            f"overlap{self.overlap}": self.overlap is not None,
            f"shifts{self.shifts}": self.shifts is not None,
            self.bandwidth: self.bandwidth,
            "mwf": self.mwf,
            self.precision: self.precision != "float32",
        }
        model = Path(self.model.removeprefix("spleeter:")).resolve().name.removesuffix(".json")
        return "-".join([model, *(str(option) for option, is_given in options.items() if is_given)])

    def _quality(self) -> Quality | None:
        """None if none of its options was given."""
        from spleeter.pipeline.options import DEFAULT_PRESET, Quality

        if self.quality is None and self.overlap is None and self.shifts is None:
            return None
        return Quality.preset(self.quality or DEFAULT_PRESET).with_changes(self.overlap, self.shifts)
