"""What can go wrong with a sound file, and how it is put into one line."""

from __future__ import annotations

import av

AV_ERRORS = (av.FFmpegError, OSError, ValueError, LookupError, RuntimeError, AssertionError)
"""What PyAV raises where it or FFmpeg cannot cope."""


def reason(error: BaseException) -> str:
    """What an operating system's or FFmpeg's error says, without number and path; in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
