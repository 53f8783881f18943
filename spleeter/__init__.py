"""Music source separation with pretrained models: a drop-in successor of Deezer's Spleeter.

Importing this package loads nothing heavy; the parts are imported where they are used:

>>> from spleeter.separator import Separator
>>> separator = Separator("spleeter:2stems")
>>> separator.separate_to_file("song.mp3", "stems")
"""

from spleeter.errors import SpleeterError

__version__ = "3.0.0"

__all__ = ["SpleeterError", "__version__"]
