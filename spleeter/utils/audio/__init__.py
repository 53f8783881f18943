"""`spleeter.utils.audio` of the original 1.x: now `spleeter.audio`."""
