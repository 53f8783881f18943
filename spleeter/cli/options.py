"""Options that commands share whether they separate or not: adapter, data folder, verbosity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from typer import Option

__all__ = ["DEFAULT_ADAPTER", "DataOption", "ReadingAdapterOption", "VerboseOption"]

DEFAULT_ADAPTER = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"

ReadingAdapterOption: TypeAlias = Annotated[
    str, Option("--adapter", "-a", metavar="CLASS", help="Class that reads audio files.")
]
DataOption: TypeAlias = Annotated[
    Path | None,
    Option(
        "--data",
        "-d",
        metavar="FOLDER",
        help="Folder that relative paths in the lists of songs start from.",
        show_default="the folder of each list",
    ),
]
VerboseOption: TypeAlias = Annotated[bool, Option("--verbose", help="Show debug messages, and tracebacks of errors.")]
