"""What things are called: in file names, and in messages to a person."""

import os

FILENAME_FORMAT = "{filename}/{instrument}.{codec}"
"""Where an output lies below the folder of the outputs, unless asked otherwise."""


def is_file_name_part(name: str) -> bool:
    """Whether a name can be a part of a file name on every platform we know."""
    return bool(name.strip()) and name not in {".", ".."} and not any(char in name for char in "/\\\0")


def display_name(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it goes into a message: one line, whatever is in it."""
    name = os.fsdecode(path)
    return name if name.isprintable() and name.strip() == name != "" else repr(name)
