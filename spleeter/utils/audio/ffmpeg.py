"""`spleeter.utils.audio.ffmpeg` of the original 1.x: now `spleeter.audio.ffmpeg`."""

from spleeter.audio.ffmpeg import FFMPEGProcessAudioAdapter

__all__ = ["FFMPEGProcessAudioAdapter"]
