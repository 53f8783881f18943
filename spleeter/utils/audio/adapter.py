"""`spleeter.utils.audio.adapter` of the original 1.x: now `spleeter.audio.adapter`."""

from spleeter.audio.adapter import AudioAdapter, get_audio_adapter, get_default_audio_adapter

__all__ = ["AudioAdapter", "get_audio_adapter", "get_default_audio_adapter"]
