"""What can go wrong with a sound file, and how it is put into one line."""

from __future__ import annotations

import os

import av

AV_ERRORS = (av.FFmpegError, OSError, ValueError, LookupError, RuntimeError, AssertionError)
"""What PyAV raises where it or FFmpeg cannot cope."""


def display_name(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it goes into a message: one line, whatever is in it."""
    name = os.fsdecode(path)
    return name if name.isprintable() and name.strip() == name != "" else repr(name)


def reason(error: BaseException) -> str:
    """What an operating system's or FFmpeg's error says, without number and path; in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
