"""`FFMPEGProcessAudioAdapter` of the original package: the default adapter of pyav.py under its old name."""

from __future__ import annotations

from spleeter.audio.pyav import PyAVAudioAdapter

__all__ = ["FFMPEGProcessAudioAdapter"]

FFMPEGProcessAudioAdapter = PyAVAudioAdapter
"""`AudioAdapter.get("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter")` and
`isinstance(AudioAdapter.default(), FFMPEGProcessAudioAdapter)` work as in the original. No process is started.
"""


_ENCODERS = {"m4a": "aac", "ogg": "libvorbis", "wma": "wmav2"}


def _check_ffmpeg_install() -> None:
    """Nothing to check: PyAV brings FFmpeg. Called by subclasses that were written for the original 1.5."""


def _to_ffmpeg_codec(codec: str) -> str:
    """FFmpeg's name of a codec's encoder, for subclasses that were written for the original 1.5."""
    return _ENCODERS.get(codec, codec)
