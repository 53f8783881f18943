"""What things are called: in file names, and in messages to a person."""

import os

FILENAME_FORMAT = "{filename}/{instrument}.{codec}"
"""Where an output lies below the folder of the outputs, unless asked otherwise."""

SOUND_EXTENSIONS = frozenset(
    {
        ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".ape", ".au", ".avi", ".caf", ".flac",
        ".m4a", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpg", ".mpeg",
        ".oga", ".ogg", ".ogv", ".opus", ".ts", ".tta", ".wav", ".webm", ".wma", ".wmv",
        ".wv",
    }
)  # fmt: skip
"""What is taken for a song inside a folder. A file that is named itself is taken whatever it is called."""


def is_file_name_part(name: str) -> bool:
    """Whether a name can be a part of a file name on every platform we know."""
    return bool(name.strip()) and name not in {".", ".."} and not any(char in name for char in "/\\\0")


def display_name(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it goes into a message: one line, whatever is in it."""
    name = os.fsdecode(path)
    return name if name.isprintable() and name.strip() == name != "" else repr(name)
