"""How the stems are to sound and what that may cost: the original's own samples, or better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from spleeter.configuration import EMBEDDED_PREFIX, Configuration
from spleeter.errors import ConfigurationError

Bandwidth: TypeAlias = Literal["11k", "16k", "full"]
"""How high the stems reach: to 11 kHz, to 16 kHz, or as high as the song, so that they sum to it."""

Preset: TypeAlias = Literal["fast", "balanced", "best"]


MAXIMUM_OVERLAP = 0.9
MAXIMUM_SHIFTS = 64
"""More would begin at the same frames again: the grid of a U-Net's strides repeats after 64."""


@dataclass(frozen=True)
class Quality:
    """What is spent on a separation beyond the original's.

    Attributes:
        overlap: how much of a segment the next one covers again, from 0 to below 1; what both say is cross-faded.
        shifts: how many times the song is separated, each time with the segments lying elsewhere; the mean is taken.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.

    Raises:
        ConfigurationError: if one is out of its range.
    """

    overlap: float = 0.0
    shifts: int = 1
    mwf: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= MAXIMUM_OVERLAP:
            raise ConfigurationError(f"overlap {self.overlap:g} is out of range: choose 0 to {MAXIMUM_OVERLAP:g}")
        if self.shifts not in range(1, MAXIMUM_SHIFTS + 1):
            raise ConfigurationError(
                f"shifts {self.shifts} is out of range: choose a whole number from 1 to {MAXIMUM_SHIFTS}"
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

DEFAULT_PRESET: Preset = "balanced"

_TOP = {"11k": 11000, "16k": 16000}  # Hz


def configured(
    descriptor: str | Path | Mapping[str, Any] | Configuration, bandwidth: str | None = None
) -> Configuration:
    """Load a configuration, and have its stems reach as high as `bandwidth` says.

    If that is None, an embedded one, such as "spleeter:2stems", is taken at full bandwidth, because the original's
    cut at 11 kHz is heard by everyone; what a file, folder or mapping says is left as it is.

    Raises:
        ConfigurationError: if there is no such configuration or bandwidth, or the network cannot be asked for it.
    """
    configuration = Configuration.load(descriptor)
    if bandwidth is None:
        is_embedded = isinstance(descriptor, str) and descriptor.startswith(EMBEDDED_PREFIX)
        return _changed(configuration, mask_extension="average") if is_embedded else configuration
    if bandwidth not in get_args(Bandwidth):
        raise ConfigurationError(f"unknown bandwidth {bandwidth!r}: choose {', '.join(get_args(Bandwidth))}")
    if bandwidth == "full":
        return _changed(configuration, mask_extension="average")
    return _changed(configuration, mask_extension="zeros", F=_bins_up_to(_TOP[bandwidth], bandwidth, configuration))


def _bins_up_to(frequency: float, bandwidth: str, configuration: Configuration) -> int:
    """The least F that reaches a frequency and can be halved six times."""
    rules = configuration.model.rules
    if rules is None or not rules.takes_any_n_bins:
        raise ConfigurationError(
            f"bandwidth {bandwidth!r} is for U-Nets, which take any number of bins; {configuration.model.type!r} is "
            f"bound to {configuration.F}: choose full"
        )
    multiple = rules.size_multiple
    wanted = frequency * configuration.frame_length / configuration.sample_rate
    return multiple * min(ceil(wanted / multiple), configuration.n_bins // multiple)


def exactly(descriptor: str | Path | Mapping[str, Any] | Configuration, mwf: bool) -> Configuration:
    """Load a configuration that gives the original's samples: as it is, but for the original's Wiener filter.

    That lets nothing through above F, whatever `mask_extension` says.
    """
    configuration = Configuration.load(descriptor)
    return _changed(configuration, mask_extension="zeros") if mwf or configuration.MWF else configuration


def _changed(configuration: Configuration, **keys: object) -> Configuration:
    return Configuration.load({**configuration.to_dict(), **keys})
