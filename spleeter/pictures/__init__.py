"""STREAM OF STEMS -> PICTURE: spectrograms gathered while a song passes by, drawn when it is over."""

from spleeter.pictures.file import draw_to_file, require_matplotlib
from spleeter.pictures.spectrograms import SpectrogramCollector, Spectrograms

__all__ = ["SpectrogramCollector", "Spectrograms", "draw_to_file", "require_matplotlib"]
