"""What the tests of audio share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.types import Waveform
from spleeter.utils.logging import logger

FfmpegDecode = Callable[[Path, int], Waveform]
"""Decodes a file (path, channels) with the program ffmpeg: an independent decoder."""


@pytest.fixture(autouse=True)
def _no_console_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are not printed here, even after a test of the command has added its handler to the logger."""
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)


@pytest.fixture
def adapter() -> PyAVAudioAdapter:
    return PyAVAudioAdapter()


@pytest.fixture(scope="session")
def ffmpeg_decode() -> FfmpegDecode:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs the program ffmpeg on the PATH, as an independent decoder")

    def decode(path: Path, n_channels: int) -> Waveform:
        command = [program, "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"]
        output = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(output, "<f4").reshape(-1, n_channels)

    return decode
