"""Commands as processes of their own: their output, and the time and memory that the system reports for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import soundfile

from benchmarks.models import MeasuredModel
from spleeter.audio.codec import Codec

_ACCOUNTING = Path(__file__).with_name("accounting.py")


@dataclass(frozen=True)
class Usage:
    """Of a finished process: elapsed seconds, CPU seconds of all cores together, peak resident MB, and its output."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(command: Iterable[object], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        environment: variables beside those of this process.
    """
    arguments = [str(argument) for argument in command]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "usage.json")
        finished = subprocess.run(
            [sys.executable, _ACCOUNTING, report, *arguments],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
        )
        if finished.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed:\n{finished.stderr[-2000:]}")
        return Usage(**json.loads(report.read_text()), output=finished.stdout)


def separate(
    model: MeasuredModel,
    song: Path,
    codec: Codec = Codec.WAV,
    device: str = "auto",
    program: Sequence[object] = (sys.executable, "-m", "spleeter"),
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Usage:
    """Run `spleeter separate` on one song; the stems are checked for their length and removed."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-p", model.descriptor, "-c", codec, "-o", folder, *_device(device), *options, song]
        usage = run([*program, "separate", *arguments], environment)
        _check(Path(folder, song.stem), song, codec)
    return usage


def typical(usages: Sequence[Usage]) -> dict[str, float]:
    """The median times, and the highest peak."""
    return {
        "wall_s": median(usage.wall_s for usage in usages),
        "cpu_s": median(usage.cpu_s for usage in usages),
        "peak_mb": max(usage.peak_mb for usage in usages),
    }


def _device(device: str) -> list[str]:
    """The option of the device, which the original, run by this too, does not have."""
    return [] if device == "auto" else ["--device", device]


def _check(folder: Path, song: Path, codec: Codec) -> None:
    stems = sorted(folder.glob(f"*.{codec}"))
    if not stems:
        raise SystemExit(f"no stems of {song} were written")
    if codec is Codec.WAV and {soundfile.info(stem).frames for stem in stems} != {soundfile.info(song).frames}:
        raise SystemExit(f"the stems of {song} are not as long as it is")
