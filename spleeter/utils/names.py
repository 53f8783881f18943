"""Names in file names and in messages, and reasons in messages: always one line."""

import os
import re
import reprlib

__all__ = ["FILENAME_FORMAT", "display_name", "is_file_name_part", "reason", "short"]

FILENAME_FORMAT = "{filename}/{instrument}.{codec}"
"""Where an output lies below the output folder, unless another format is given."""

_END = 400
"""Characters of the beginning, and of the end, of a long text in a message."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 200

_MAX_NAME = 100  # bytes; a file system takes 255 for the whole name
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever their extension."""


def is_file_name_part(name: str) -> bool:
    """Whether a name can be a part of a file name on every platform we know, and of a line of text."""
    return (
        name.isprintable()  # excludes line breaks, escapes, NUL, and surrogates, which have no encoding
        and bool(name.strip())
        and name not in {".", ".."}
        and not any(char in name for char in "/\\")
        and len(name.encode()) <= _MAX_NAME
        and not _RESERVED.fullmatch(name)
    )


def display_name(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it goes into a message: one line, whatever characters it holds."""
    name = os.fsdecode(path)
    shown = name if name.isprintable() and name.strip() == name != "" else repr(name)
    return _cut(shown)


def short(value: object) -> str:
    """The `repr` of a value as it goes into a message: one line of about 200 characters at most, whatever it is."""
    text = _repr.repr(value)
    return text if text.isprintable() else " ".join(text.split())


def reason(error: BaseException) -> str:
    """The text of an error of the system or a library, without number and path; one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _cut(" ".join(str(text).split()))


def _cut(text: str) -> str:
    """The beginning and the end of a text that would fill the screen."""
    return text if len(text) <= 2 * _END else f"{text[:_END]}…{text[-_END:]}"
