"""Audio file or file object <-> waveform, in NumPy.

Reading: files -> demuxer -> decoder -> blocks -> reader. Writing: writer -> encoder -> files.
"""

from spleeter.audio.codec import Codec, Encoding
from spleeter.types import STFTBackend

__all__ = ["Codec", "Encoding", "STFTBackend"]
