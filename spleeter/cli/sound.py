"""The options by which one says how the stems are to sound; commands that separate share them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from typer import BadParameter, Exit, Option

from spleeter.errors import SpleeterError
from spleeter.utils.logging import logger

if TYPE_CHECKING:
    from spleeter.configuration import Configuration
    from spleeter.separator import Separator

ModelOption: TypeAlias = Annotated[
    str,
    Option(
        "--params_filename",
        "-p",
        metavar="MODEL",
        help="Model: spleeter:2stems, spleeter:4stems, spleeter:5stems, each also with -16kHz; "
        "or a JSON file, or a folder with a trained model.",
    ),
]
MwfOption: TypeAlias = Annotated[
    bool, Option("--mwf", help="Use multichannel Wiener filtering, as balanced and best do anyway.")
]
QualityOption: TypeAlias = Annotated[
    Literal["fast", "balanced", "best"] | None,
    Option(
        "--quality",
        "-q",
        help="What to spend on the stems. fast: masks alone; balanced: segments cross-faded, and the Wiener filter; "
        "best: and four layers of segments.",
        show_default="balanced",
    ),
]
OverlapOption: TypeAlias = Annotated[
    float | None,
    Option(
        "--overlap",
        metavar="SHARE",
        help="How much of a segment the next one covers again and is cross-faded with: 0 to 0.9.",
        show_default="the quality's",
    ),
]
ShiftsOption: TypeAlias = Annotated[
    int | None,
    Option(
        "--shifts",
        metavar="N",
        help="Take the mean of so many separations with the segments lying elsewhere.",
        show_default="the quality's",
    ),
]
BandwidthOption: TypeAlias = Annotated[
    Literal["11k", "16k", "full"] | None,
    Option(
        "--bandwidth",
        help="How high the stems reach, in Hz.",
        show_default="full; of a JSON file or folder: what it says",
    ),
]
ExactOption: TypeAlias = Annotated[bool, Option("--exact", help="Give the samples of the original Spleeter.")]
DeviceOption: TypeAlias = Annotated[
    str, Option("--device", metavar="DEVICE", help="Where to compute: auto, cpu, cuda, cuda:N or mps.")
]
PrecisionOption: TypeAlias = Annotated[
    Literal["float32", "bfloat16", "float16"],
    Option(
        "--precision",
        help="What the network computes in; half precision is faster where there is arithmetic for it.",
    ),
]


@dataclass(frozen=True)
class Sound:
    """What those options say."""

    model: str
    mwf: bool
    quality: str | None
    overlap: float | None
    shifts: int | None
    bandwidth: str | None
    exact: bool
    device: str
    precision: str

    def __post_init__(self) -> None:
        others = self.quality, self.overlap, self.shifts, self.bandwidth
        if self.exact and (any(option is not None for option in others) or self.precision != "float32"):
            raise BadParameter("--exact goes without --quality, --overlap, --shifts, --bandwidth and --precision")

    def configuration(self) -> Configuration:
        """The model's configuration. Raises ConfigurationError."""
        from spleeter.pipeline.options import configured, exactly

        return exactly(self.model, self.mwf) if self.exact else configured(self.model, self.bandwidth)

    def separator(self, configuration: Configuration) -> Separator:
        """A separator with that configuration. Raises ConfigurationError, DeviceError."""
        from spleeter.pipeline.options import DEFAULT_PRESET, Quality
        from spleeter.separator import Separator  # here, because torch takes a second to import

        quality = Quality.preset(self.quality or DEFAULT_PRESET).with_changes(self.overlap, self.shifts)
        return Separator(
            configuration,
            MWF=self.mwf,
            device=self.device,
            precision=self.precision,
            quality=None if self.exact else quality,
            exact=self.exact,
        )


@contextmanager
def wrong_usage() -> Iterator[None]:
    """What fails before any work has started is wrong usage, and has its exit code."""
    try:
        yield
    except SpleeterError as error:
        logger.error(" ".join(str(error).split()))
        raise Exit(2) from error
