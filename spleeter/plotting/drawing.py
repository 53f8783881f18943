"""The figure of a separation: the mixture on top, and below it each stem's spectrogram beside its mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spleeter.plotting.lettering import drawable, families
from spleeter.plotting.spectrograms import SILENCE, Power, Spectrograms, mel

if TYPE_CHECKING:  # it need not be installed
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WIDTH = 13.333
"""Inches, as wide as a slide; with two stems the figure is as high as one too."""

_SHADES = 100
"""Of each colour map: a step is less than a decibel, or a hundredth of the power."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds from one label of the time axis to the next."""


@dataclass(frozen=True)
class _Colours:
    """A colour map, what its ends stand for, and what is said beside its bar."""

    name: str
    least: float
    most: float
    label: str


_LEVELS = _Colours("magma", SILENCE, 0.0, "dB")
_SHARES = _Colours("viridis", 0.0, 1.0, "share of the mixture\n(grey: silence)")


def draw(spectrograms: Spectrograms, title: str) -> Figure:
    """The mixture's spectrogram, and each stem's spectrogram and mask, all on the same two axes.

    The axis of frequency is in mel, where notes and cymbals both have room. On a linear one the notes are a stripe at
    the bottom; on a logarithmic one a third goes to what is below 200 Hz, which frames this short do not resolve.

    Args:
        spectrograms: with one stem at least.
        title: the song's name, drawn above.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = spectrograms.names
    size = (WIDTH, 3.0 + 1.5 * (1 + len(names)))
    figure = Figure(size, layout=ConstrainedLayoutEngine(wspace=0.03))
    figure.suptitle(drawable(title, 80), family=families(), parse_math=False, fontsize=18)
    grid = figure.add_gridspec(1 + len(names), 3, width_ratios=(1, 1, 0.02))
    mixture, stems = spectrograms.decibels()

    levels = _show(figure.add_subplot(grid[0, :2]), "mixture", mixture, spectrograms, _LEVELS)
    for row, (name, stem, mask) in enumerate(zip(names, stems, spectrograms.masks(), strict=True), 1):
        left, right = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        _show(left, name, stem, spectrograms, _LEVELS)
        shares = _show(right, f"mask of {name}", mask, spectrograms, _SHARES)
        right.tick_params(labelleft=False)
        right.set_ylabel("")
        for axes in (left, right):
            axes.tick_params(labelbottom=row == len(names))
    _describe(figure.colorbar(levels, figure.add_subplot(grid[0, 2])), _LEVELS)
    _describe(figure.colorbar(shares, figure.add_subplot(grid[1:3, 2])), _SHARES)
    return figure


def palette() -> npt.NDArray[np.uint8]:
    """256 colours (256, red green blue): all that the images are made of, and greys."""
    greys = np.linspace(0, 255, 256 - 2 * _SHADES).round().astype(np.uint8)
    shades = [_map(colours)(np.arange(_SHADES), bytes=True)[:, :3] for colours in (_LEVELS, _SHARES)]
    return np.concatenate([*shades, np.stack([greys] * 3, axis=1)])


def _map(colours: _Colours) -> Colormap:
    from matplotlib import colormaps

    return colormaps[colours.name].resampled(_SHADES)


def _show(axes: Axes, title: str, image: Power, spectrograms: Spectrograms, colours: _Colours) -> AxesImage:
    """Draw an array (columns, bands), time to the right and frequency upwards."""
    axes.set_title(drawable(title, 45), loc="left", family=families(), parse_math=False, fontsize=14)
    axes.set_facecolor("0.8")  # shows where there is no number
    axes.set_xticks(*_time_ticks(spectrograms.seconds))
    axes.set_yticks(*_frequency_ticks(spectrograms.top))
    axes.set_ylabel("kHz", fontsize=12)
    axes.tick_params(labelsize=11)
    return axes.imshow(
        image.T,
        cmap=_map(colours),
        vmin=colours.least,
        vmax=colours.most,
        extent=(0.0, spectrograms.seconds, 0.0, float(mel(spectrograms.top))),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        interpolation_stage="data",  # between colours there would be other colours
    )


def _describe(bar: Colorbar, colours: _Colours) -> None:
    bar.set_label(colours.label, fontsize=12)
    bar.ax.tick_params(labelsize=11)


def _frequency_ticks(top: float) -> tuple[list[float], list[str]]:
    """Positions in mel and labels in kilohertz, up to `top` in hertz."""
    kilohertz = [tick for tick in (0, 1, 2, 4, 8, 16) if 1000 * tick <= top]
    return [float(mel(1000 * tick)) for tick in kilohertz], [str(tick) for tick in kilohertz]


def _time_ticks(seconds: float) -> tuple[list[int], list[str]]:
    """Positions in seconds and labels, as few as nine or less if a step for that is known."""
    step = next((step for step in _STEPS if seconds <= 8 * step), _STEPS[-1])
    ticks = list(range(0, int(seconds) + 1, step))
    return ticks, [_clock(tick, with_hours=seconds >= 3600) for tick in ticks]


def _clock(seconds: int, with_hours: bool) -> str:
    """m:ss or h:mm:ss."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if with_hours else f"{minutes}:{rest:02}"
