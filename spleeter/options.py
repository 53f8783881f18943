"""`spleeter.options` of the original: the options of its commands, for the commands of other programs.

They are the options of this package's commands, with their defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from inspect import signature
from typing import Any, get_type_hints

from spleeter.audio import Codec, STFTBackend
from spleeter.cli.evaluate import evaluate
from spleeter.cli.main import app
from spleeter.cli.separate import separate
from spleeter.cli.train import train

__all__ = [
    "AudioAdapterOption",
    "AudioBitrateOption",
    "AudioCodecOption",
    "AudioDurationOption",
    "AudioInputArgument",
    "AudioInputOption",
    "AudioOffsetOption",
    "AudioOutputOption",
    "AudioSTFTBackendOption",
    "Codec",
    "FilenameFormatOption",
    "MUSDBDirectoryOption",
    "MWFOption",
    "ModelParametersOption",
    "STFTBackend",
    "TrainingDataDirectoryOption",
    "VerboseOption",
    "VersionOption",
]


def _option(command: Callable[..., Any], name: str) -> Any:
    """The option or argument of a command's parameter, with its default, as typer takes it for a default value."""
    parameter = signature(command).parameters[name]
    option = copy(get_type_hints(command, include_extras=True)[name].__metadata__[0])
    if isinstance(option.default, str):  # inside of Annotated the first name is where the default would be
        option.param_decls = (option.default, *option.param_decls)
    option.default = ... if parameter.default is parameter.empty else parameter.default
    return option


def _main_callback() -> Callable[..., Any]:
    """The function with the options of `spleeter` itself."""
    assert app.registered_callback is not None
    assert app.registered_callback.callback is not None
    return app.registered_callback.callback


AudioAdapterOption = _option(separate, "adapter")
AudioBitrateOption = _option(separate, "bitrate")
AudioCodecOption = _option(separate, "codec")
AudioDurationOption = _option(separate, "duration")
AudioInputArgument = _option(separate, "files")
AudioInputOption = _option(separate, "deprecated_files")
AudioOffsetOption = _option(separate, "offset")
AudioOutputOption = _option(separate, "output_path")
AudioSTFTBackendOption = _option(separate, "stft_backend")
FilenameFormatOption = _option(separate, "filename_format")
MUSDBDirectoryOption = _option(evaluate, "mus_dir")
MWFOption = _option(separate, "mwf")
ModelParametersOption = _option(separate, "params_filename")
TrainingDataDirectoryOption = _option(train, "data")
VerboseOption = _option(separate, "verbose")
VersionOption = _option(_main_callback(), "version")
