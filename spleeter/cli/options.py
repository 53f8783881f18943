"""Options that commands have in common, whatever they do with sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from typer import Option

DEFAULT_ADAPTER = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"

ReadingAdapterOption: TypeAlias = Annotated[
    str, Option("--adapter", "-a", metavar="CLASS", help="Class that reads the sound files.")
]
DataOption: TypeAlias = Annotated[
    Path | None,
    Option(
        "--data",
        "-d",
        metavar="FOLDER",
        help="Folder that the paths in the lists of songs start from.",
        show_default="the folder of each list",
    ),
]
VerboseOption: TypeAlias = Annotated[bool, Option("--verbose", help="Say more, and show where errors come from.")]
