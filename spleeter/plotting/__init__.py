"""The one renderer of spectrograms and box plots.

spectrograms.py   blocks of waveforms -> power in mel bands, in memory that does not grow with the song
rendering.py      power -> decibels -> colours; images for TensorBoard
figure.py         the figure of a separation: spectrograms and masks
boxplot.py        the box plot of an evaluation
png.py            a figure -> PNG: fonts, settings, compression
"""

from spleeter.plotting.boxplot import BoxPanel, box_plot_png
from spleeter.plotting.figure import spectrogram_png
from spleeter.plotting.png import render_png, require_matplotlib
from spleeter.plotting.rendering import linear_power, spectrogram_image
from spleeter.plotting.spectrograms import SpectrogramCollector, Spectrograms

__all__ = [
    "BoxPanel",
    "SpectrogramCollector",
    "Spectrograms",
    "box_plot_png",
    "linear_power",
    "render_png",
    "require_matplotlib",
    "spectrogram_image",
    "spectrogram_png",
]
