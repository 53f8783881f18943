"""The figure of a separation: the mixture on top, and below it each stem's spectrogram beside its mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spleeter.plotting.png import one_line, render_png
from spleeter.plotting.rendering import LEVELS, SHARES, ColourScale, mel
from spleeter.plotting.spectrograms import Power, Spectrograms

if TYPE_CHECKING:  # it need not be installed
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["separation_figure", "spectrogram_png"]

_WIDTH = 13.333
"""Inches: the width of a slide, and with two stems the figure has the height of one too."""

_DPI = 150
"""Pixels per inch, unless that makes more than `_MAX_PIXELS`."""

_MAX_PIXELS = 4_000_000
"""Reached with six stems. A pixel takes about a quarter of a byte."""

_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Distances between the ticks of the time axis."""


def spectrogram_png(spectrograms: Spectrograms, title: str) -> bytes:
    """The figure as a PNG file; arguments and errors are those of `separation_figure` and `render_png`."""
    return render_png(lambda: separation_figure(spectrograms, title))


def separation_figure(spectrograms: Spectrograms, title: str) -> Figure:
    """Draw the mixture's spectrogram, and each stem's spectrogram and mask, all on the same axes.

    The frequency axis is in mel, which has room for notes and for cymbals. A linear one leaves a narrow stripe at the
    bottom for the notes; a logarithmic one gives a third to what is below 200 Hz, which frames this short do not
    resolve.

    Args:
        spectrograms: with one stem at least.
        title: the song's name, drawn above.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = spectrograms.names
    width, height = _WIDTH, 3.0 + 1.5 * (1 + len(names))
    dpi = min(_DPI, int(np.sqrt(_MAX_PIXELS / (width * height))))
    figure = Figure((width, height), dpi, layout=ConstrainedLayoutEngine(wspace=0.03))
    figure.suptitle(one_line(title, 80), fontsize=18)
    grid = figure.add_gridspec(1 + len(names), 3, width_ratios=(1, 1, 0.02))
    mixture, stems = spectrograms.decibels()

    levels = _show(figure.add_subplot(grid[0, :2]), "mixture", mixture, spectrograms, LEVELS)
    for row, (name, stem, mask) in enumerate(zip(names, stems, spectrograms.masks(), strict=True), 1):
        left, right = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        _show(left, name, stem, spectrograms, LEVELS)
        shares = _show(right, f"mask of {name}", mask, spectrograms, SHARES)
        right.tick_params(labelleft=False)
        right.set_ylabel("")
        for axes in (left, right):
            axes.tick_params(labelbottom=row == len(names))
    _describe(figure.colorbar(levels, figure.add_subplot(grid[0, 2])), LEVELS)
    _describe(figure.colorbar(shares, figure.add_subplot(grid[1:3, 2])), SHARES)
    return figure


def _show(axes: Axes, title: str, values: Power, spectrograms: Spectrograms, scale: ColourScale) -> AxesImage:
    """Draw values (columns, bands), time to the right and frequency upwards."""
    from matplotlib.colors import ListedColormap

    axes.set_title(one_line(title, 45), loc="left", fontsize=14)
    axes.set_facecolor("0.8")  # what is NaN is transparent
    axes.set_xticks(*_time_ticks(spectrograms.seconds))
    kilohertz = [tick for tick in (0, 1, 2, 4, 8, 16) if 1000 * tick <= spectrograms.top]
    axes.set_yticks([float(mel(1000 * tick)) for tick in kilohertz], [str(tick) for tick in kilohertz])
    axes.set_ylabel("kHz", fontsize=12)
    axes.tick_params(labelsize=11)
    return axes.imshow(
        values.T,
        cmap=ListedColormap(scale.shades() / 255),
        vmin=scale.low,
        vmax=scale.high,
        extent=(0.0, spectrograms.seconds, 0.0, float(mel(spectrograms.top))),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        interpolation_stage="data",  # between two colours of a map lie colours that are not in it
    )


def _describe(bar: Colorbar, scale: ColourScale) -> None:
    """Label a colour bar."""
    bar.set_label(scale.label, fontsize=12)
    bar.ax.tick_params(labelsize=11)


def _time_ticks(seconds: float) -> tuple[list[int], list[str]]:
    """Positions in seconds, and labels: m:ss, or from an hour on h:mm:ss. Nine at most in songs of up to 32 hours."""
    step = next((step for step in _TICK_SECONDS if seconds <= 8 * step), _TICK_SECONDS[-1])
    ticks = list(range(0, int(seconds) + 1, step))
    if seconds < 3600:
        return ticks, [f"{tick // 60}:{tick % 60:02}" for tick in ticks]
    return ticks, [f"{tick // 3600}:{tick // 60 % 60:02}:{tick % 60:02}" for tick in ticks]
