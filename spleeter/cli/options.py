"""Options that commands share whether they separate or not: adapter, data folder, own networks, verbosity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from typer import Option

from spleeter.cli.help import MACHINE

__all__ = [
    "DEFAULT_ADAPTER",
    "DataOption",
    "ModelCodeOption",
    "ReadingAdapterOption",
    "ThreadsOption",
    "VerboseOption",
]

DEFAULT_ADAPTER = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"

ReadingAdapterOption: TypeAlias = Annotated[
    str,
    Option(
        "--adapter",
        "-a",
        metavar="CLASS",
        help="Class that reads audio files, by its full path.",
        show_default="FFmpeg's libraries",
    ),
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
ThreadsOption: TypeAlias = Annotated[
    int | None,
    Option(
        "--threads",
        metavar="N",
        min=1,
        help="Threads that compute on a CPU.",
        show_default="one per core",
        rich_help_panel=MACHINE,
    ),
]
ModelCodeOption: TypeAlias = Annotated[
    list[str] | None,
    Option(
        "--model-code",
        metavar="FILE",
        help="Python file or module of your own that the model's configuration may run. May be repeated.",
        rich_help_panel=MACHINE,
    ),
]
VerboseOption: TypeAlias = Annotated[bool, Option("--verbose", help="Show debug messages, and tracebacks of errors.")]
