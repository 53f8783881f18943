"""`spleeter.commands.train` of the original 1.x: `spleeter train` with parsed arguments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.training.train import train

__all__ = ["entrypoint"]


def entrypoint(arguments: Any, params: Mapping[str, Any]) -> None:
    """Train the model of the configuration `params`; `arguments` are those of `create_argument_parser`."""
    adapter = AudioAdapter.get(arguments.audio_adapter)
    train(Configuration.load(params), data=Path(arguments.audio_path), adapter=adapter)
