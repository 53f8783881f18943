"""Other programs with the same weights, in turn with this one: arrays to arrays, and whole commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import torch

from benchmarks import processes
from benchmarks.clock import in_turn
from benchmarks.models import MeasuredModel
from benchmarks.processes import Usage
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log

_SCRIPTS = Path(__file__).parents[1] / "peers"
_SECONDS, _QUICK_SECONDS = 180, 15
_OURS = "ours"
_BATCH, _N_STEPS, _N_QUICK_STEPS = 2, 5, 2
_TRAINING_NOTE = (
    f"2 stems at full size, {_BATCH} segments a step; ours includes the STFT, the original's is of spectra."
)

Figures: TypeAlias = dict[str, Any]
"""The JSON that a script prints: see peers/README.md."""


def run(setting: Setting) -> list[Table]:
    """Compare everything in several rounds."""
    peers = setting.options.peers
    assert peers is not None, "the command line has been checked"
    seconds = _QUICK_SECONDS if setting.options.quick else _SECONDS
    song, rounds = setting.songs.file(seconds), setting.options.n_rounds()
    log(f"peers: {rounds} rounds of separation")
    separations = in_turn(_separations(setting, peers, song), rounds)
    log(f"peers: {rounds} rounds of the command")
    usages = in_turn(_commands(setting, peers, song), rounds)
    steps = _N_QUICK_STEPS if setting.options.quick else _N_STEPS
    log(f"peers: {rounds} rounds of {steps} steps of training")
    trainings = in_turn(_trainings(setting, peers, steps), rounds)
    note = f"{seconds} s of music; ratios are of times, median of the rounds ({rounds}): below 1, ours is faster."
    return [
        Table("Peers: arrays to arrays, after a warm-up", _separation_rows(separations), [note]),
        Table("Peers: the whole command, wav to wav", _command_rows(usages, seconds), [note]),
        Table("Peers: one step of training", _training_rows(trainings), [_TRAINING_NOTE]),
    ]


def _separations(setting: Setting, peers: Path, song: Path) -> dict[str, Callable[[], Figures]]:
    threads = str(torch.get_num_threads())
    commands: dict[str, list[object]] = {
        _OURS: [sys.executable, _SCRIPTS / "ours.py", song, "--device", setting.options.device],
        "original": [peers / "original/bin/python", _SCRIPTS / "original.py", song],
        "sherpa": [
            peers / "sherpa/bin/python",
            _SCRIPTS / "sherpa.py",
            song,
            "--models",
            peers / "onnx",
            "--threads",
            threads,
        ],
    }
    return {
        name: partial(_figures, [*command, "--runs", 1], _environment(peers)) for name, command in commands.items()
    }


def _trainings(setting: Setting, peers: Path, steps: int) -> dict[str, Callable[[], Figures]]:
    counts: list[object] = ["--batch", _BATCH, "--steps", steps]
    commands: dict[str, list[object]] = {
        _OURS: [sys.executable, _SCRIPTS / "ours_training.py", *counts, "--device", setting.options.device],
        "original": [peers / "original/bin/python", _SCRIPTS / "original_training.py", *counts],
    }
    return {name: partial(_figures, command, _environment(peers)) for name, command in commands.items()}


def _training_rows(trainings: Mapping[str, list[Figures]]) -> list[Row]:
    times = {name: [median(figures["seconds"]) for figures in of_one] for name, of_one in trainings.items()}
    return [
        {
            "what": of_one[0]["name"],
            "framework": of_one[0]["framework"],
            "step_s": median(times[name]),
            "segments_per_s": _BATCH / median(times[name]),
            "peak_mb": max(figures["peak_mb"] for figures in of_one),
            "ours_to_theirs": _ratio(times[_OURS], times[name]),
        }
        for name, of_one in trainings.items()
    ]


def _figures(command: list[object], environment: Mapping[str, str]) -> Figures:
    figures: Figures = json.loads(processes.run(command, environment).output.splitlines()[-1])
    return figures


def _environment(peers: Path) -> dict[str, str]:
    return {"MODEL_PATH": str(peers / "pretrained_models"), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _separation_rows(separations: Mapping[str, list[Figures]]) -> list[Row]:
    times = {name: [figures["seconds"][0] for figures in of_one] for name, of_one in separations.items()}
    return [
        {
            "what": of_one[0]["name"],
            "framework": of_one[0]["framework"],
            "median_s": median(times[name]),
            "x_real_time": of_one[0]["audio_seconds"] / median(times[name]),
            "peak_mb": max(figures["peak_mb"] for figures in of_one),
            "ours_to_theirs": _ratio(times[_OURS], times[name]),
        }
        for name, of_one in separations.items()
    ]


def _commands(setting: Setting, peers: Path, song: Path) -> dict[str, Callable[[], Usage]]:
    model, environment = MeasuredModel("spleeter:2stems", "2 stems"), _environment(peers)
    original = [peers / "original/bin/spleeter"]
    ours = partial(processes.separate, model, song, device=setting.options.device, environment=environment)
    return {
        _OURS: partial(ours, options=["--exact"]),
        "ours as by default": ours,
        "original": partial(processes.separate, model, song, program=original, environment=environment),
    }


def _command_rows(usages: Mapping[str, list[Usage]], seconds: float) -> list[Row]:
    times = {name: [usage.wall_s for usage in of_one] for name, of_one in usages.items()}
    return [
        {
            "what": f"{name}, command",
            **processes.typical(of_one),
            "x_real_time": seconds / median(times[name]),
            "ours_to_theirs": _ratio(times[_OURS], times[name]),
        }
        for name, of_one in usages.items()
    ]


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds of one time over the other."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))
