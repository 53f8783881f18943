"""Shared by the peers' scripts: load a song, time a separation of it, print one line of JSON. Not run by itself."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SAMPLE_RATE = 44100
WARM_UP_SECONDS = 15

Separate = Callable[[Any], Mapping[str, Any]]
"""A waveform (samples, 2) -> stems by name, each (samples, 2)."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser of the arguments that every peer takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("song", type=Path, help="a stereo WAV file at 44.1 kHz")
    made.add_argument("--runs", type=int, default=3, help="separations of the whole song")
    made.add_argument("--output", type=Path, help="a folder for the stems of the last run, as float WAV files")
    return made


def report(arguments: argparse.Namespace, separate: Separate, **about: str) -> None:
    """Separate 15 s untimed, then the whole song `--runs` times; print the result with the labels `about` it."""
    waveform = _load(arguments.song)
    separate(waveform[: WARM_UP_SECONDS * SAMPLE_RATE])
    seconds = []
    stems: Mapping[str, Any] = {}
    for _ in range(arguments.runs):
        stems = {}  # the last run's go before the next run
        start = time.perf_counter()
        stems = separate(waveform)
        seconds.append(round(time.perf_counter() - start, 3))
    peak_mb = _peak_mb()
    if arguments.output:
        _save(arguments.output, stems)
    figures = {"seconds": seconds, "audio_seconds": round(len(waveform) / SAMPLE_RATE, 3), "peak_mb": peak_mb}
    print(json.dumps({**about, **figures}), flush=True)


def training_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser of the arguments of the scripts that train."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--batch", type=int, default=2, help="segments in a step")
    made.add_argument("--steps", type=int, default=3, help="how many are timed, after two that are not")
    return made


def report_steps(arguments: argparse.Namespace, step: Callable[[], Any], **about: str) -> None:
    """Take two steps untimed, then `--steps`; print the result with the labels `about` it."""
    step()
    step()
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        step()
        seconds.append(round(time.perf_counter() - start, 4))
    print(json.dumps({**about, "seconds": seconds, "batch": arguments.batch, "peak_mb": _peak_mb()}), flush=True)


def _load(song: Path) -> Any:
    waveform, sample_rate = importlib.import_module("soundfile").read(song, dtype="float32", always_2d=True)
    if (sample_rate, waveform.shape[1]) != (SAMPLE_RATE, 2):
        raise SystemExit(f"{song} has {waveform.shape[1]} channels at {sample_rate} Hz, not 2 at {SAMPLE_RATE}")
    return waveform


def _save(folder: Path, stems: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in stems.items():
        importlib.import_module("soundfile").write(folder / f"{name}.wav", stem, SAMPLE_RATE, subtype="FLOAT")


def _peak_mb() -> int:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if platform.system() == "Darwin" else 1e3))
