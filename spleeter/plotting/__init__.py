"""STREAM OF STEMS -> PICTURE: spectrograms gathered while a song passes by, drawn when it is over."""

from spleeter.plotting.file import draw_to_file, require_matplotlib
from spleeter.plotting.spectrograms import SpectrogramCollector, Spectrograms

__all__ = ["SpectrogramCollector", "Spectrograms", "draw_to_file", "require_matplotlib"]
