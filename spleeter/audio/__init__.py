"""File <-> waveform, in numpy: nothing in here knows of torch."""

from spleeter.audio.codec import Codec, Encoding

__all__ = ["Codec", "Encoding"]
