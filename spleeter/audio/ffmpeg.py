"""The class path that the original package's users and configurations name; the adapter itself is in pyav.py."""

from __future__ import annotations

from spleeter.audio.pyav import PyAVAudioAdapter

FFMPEGProcessAudioAdapter = PyAVAudioAdapter
"""The default adapter under its old name: `AudioAdapter.get("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter")`
and `isinstance(AudioAdapter.default(), FFMPEGProcessAudioAdapter)` go on working. It starts no process any more.
"""
