"""Power -> decibels -> colours, on a linear or a mel axis: what every spectrogram is drawn with.

The figure of a separation and the training's images for TensorBoard share the dynamic range and the colours that are
defined here. It takes NumPy alone: TensorBoard is used without matplotlib too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "LEVELS",
    "MAX_ROWS",
    "MIN_DECIBELS",
    "SHARES",
    "ColourScale",
    "decibels",
    "hertz",
    "linear_power",
    "mel",
    "spectrogram_image",
]

MIN_DECIBELS = -80.0
"""Level relative to the loudest bin; whatever is softer is drawn as silence."""

MAX_ROWS = 512
"""Height of an image with a linear axis. Where there are more bins, neighbours are averaged."""


@dataclass(frozen=True)
class ColourScale:
    """A colour map, and the values that its ends stand for.

    Attributes:
        stops: colours at equal distances from `low` to `high`, in hexadecimal RGB.
        low: value of the first colour.
        high: value of the last colour.
        label: of the colour bar.
    """

    stops: str
    low: float
    high: float
    label: str

    def shades(self) -> npt.NDArray[np.uint8]:
        """256 colours from `low` to `high`, interpolated between the stops: uint8 (256, RGB)."""
        stops = np.array([list(bytes.fromhex(stop)) for stop in self.stops.split()])  # (stops, RGB)
        positions = np.linspace(0, len(stops) - 1, 256)
        channels = [np.interp(positions, np.arange(len(stops)), channel) for channel in stops.T]
        return np.stack(channels, axis=1).round().astype(np.uint8)

    def colours(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
        """Values (...) -> uint8 (..., RGB); values beyond `low` and `high` have the colours of the ends."""
        positions = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        colours: npt.NDArray[np.uint8] = self.shades()[(255 * positions).round().astype(np.intp)]
        return colours


LEVELS = ColourScale(
    "000004 030311 0a0822 130d33 1d1146 28115a 36106a 430f76 50127c 5d177f 691c81 "
    "762181 822681 8f2a81 9c2e7f a9327d b63779 c33b75 cf4170 db486a e65163 ee5c5e "
    "f5695c f9785d fb8761 fd9668 fea571 feb47b fec387 fed194 fde0a2 fceeb0 fcfdbf",
    low=MIN_DECIBELS,
    high=0.0,
    label="dB",
)
"""Decibels, in the colours of matplotlib's "magma"."""

SHARES = ColourScale(
    "440154 470d60 48186a 482374 472d7b 453681 424086 3f4989 3b528b 375a8d 33638d "
    "2f6a8e 2c728e 297a8e 26818e 23898e 21908c 1f988b 1f9f88 21a685 28ae80 31b57b "
    "3ebc74 4cc26c 5dc963 6ece58 82d34c 96d83f abdc32 c0df24 d5e21a eae51a fde725",
    low=0.0,
    high=1.0,
    label="share of the mixture\n(grey: silence)",
)
"""Mask values, in the colours of matplotlib's "viridis"."""


def mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Hertz -> mel, by O'Shaughnessy's formula ("Speech Communication", 1987): librosa's `htk=True`."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0))


def hertz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mel -> hertz, the inverse of `mel`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0))


def decibels(power: npt.NDArray[np.floating], loudest: float) -> npt.NDArray[np.floating]:
    """Power (...) -> decibels relative to the power `loudest`, not below `MIN_DECIBELS`; of the same shape and dtype.

    Where `loudest` is 0 everything is silence.
    """
    tiny = np.finfo(power.dtype).tiny  # zero has no logarithm
    relative = np.maximum(power / (loudest or 1.0), tiny)
    levels: npt.NDArray[np.floating] = np.maximum(10.0 * np.log10(relative), MIN_DECIBELS)
    return levels


def linear_power(magnitudes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The power of a spectrogram on a linear frequency axis, averaged over channels.

    Args:
        magnitudes: (channels, T, F); NaN counts as 0.

    Returns:
        float64 (T, rows): one row for each bin, or the mean of as many neighbours as make it `MAX_ROWS` at most.
    """
    power = np.square(np.nan_to_num(magnitudes).astype(np.float64)).mean(axis=0)  # (T, F)
    n_bins = power.shape[1]
    starts = np.arange(0, n_bins, -(-n_bins // MAX_ROWS))
    sums: npt.NDArray[np.float64] = np.add.reduceat(power, starts, axis=1)
    return sums / np.diff(starts, append=n_bins)


def spectrogram_image(power: npt.NDArray[np.floating], loudest: float) -> npt.NDArray[np.uint8]:
    """The image of a spectrogram.

    Args:
        power: (T, rows), not negative.
        loudest: the power that gets the brightest colour; several images with the same one can be compared.

    Returns:
        uint8 (rows, T, RGB): time to the right, the highest frequency in row 0.
    """
    return LEVELS.colours(decibels(power, loudest).T[::-1])
