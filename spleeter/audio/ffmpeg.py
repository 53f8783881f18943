"""`FFMPEGProcessAudioAdapter` of the original package: the default adapter of pyav.py under its old name."""

from __future__ import annotations

from spleeter.audio.pyav import PyAVAudioAdapter

__all__ = ["FFMPEGProcessAudioAdapter"]

FFMPEGProcessAudioAdapter = PyAVAudioAdapter
"""`AudioAdapter.get("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter")` and
`isinstance(AudioAdapter.default(), FFMPEGProcessAudioAdapter)` work as in the original. No process is started.
"""
