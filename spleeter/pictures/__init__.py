"""STREAM OF STEMS -> PICTURE: spectrograms gathered while a song passes by, drawn when it is over."""

from spleeter.pictures.file import require_matplotlib, save, write
from spleeter.pictures.spectrograms import SpectrogramCollector, Spectrograms

__all__ = ["SpectrogramCollector", "Spectrograms", "require_matplotlib", "save", "write"]
