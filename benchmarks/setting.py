"""What the sections share: the options, the device, and where songs and models come from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.models import Models
from benchmarks.options import Options
from benchmarks.songs import Songs
from spleeter.backends.torch.device import select_device


@dataclass(frozen=True)
class Setting:
    """What the sections share; `folder` is for their temporary files."""

    options: Options
    folder: Path
    device: torch.device
    songs: Songs
    models: Models

    @classmethod
    def make(cls, options: Options, folder: Path) -> Setting:
        """Make it in an empty folder."""
        device = select_device(options.device)
        if "gpu" in options.sections and options.device == "auto" and device.type != "cuda":
            raise SystemExit("the section gpu needs CUDA; to try it elsewhere, add --device cpu")
        return cls(options, folder, device, Songs(folder, options.song), Models(folder))


def log(what: str) -> None:
    """Log on standard error what is being measured."""
    print(f"... {what}", file=sys.stderr, flush=True)
