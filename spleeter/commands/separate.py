"""`spleeter.commands.separate` of the original 1.x: `spleeter separate` with parsed arguments."""

from typing import Any

from spleeter.audio.adapter import AudioAdapter
from spleeter.separator import Separator

__all__ = ["entrypoint"]


def entrypoint(arguments: Any, params: object) -> None:
    """Separate the files of `arguments`, as `create_argument_parser` gives them; `params` is not used."""
    adapter = AudioAdapter.get(arguments.audio_adapter)
    separator = Separator(arguments.configuration, arguments.MWF)
    for song in arguments.inputs:
        separator.separate_to_file(
            song,
            arguments.output_path,
            adapter,
            arguments.offset,
            arguments.duration,
            arguments.codec,
            arguments.bitrate,
            arguments.filename_format,
        )
