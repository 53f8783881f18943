"""`spleeter.utils.audio.convertor` of the original 1.x: now `spleeter.audio.convertor`."""

from spleeter.audio.convertor import to_n_channels, to_stereo

__all__ = ["to_n_channels", "to_stereo"]
