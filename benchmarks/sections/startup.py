"""Start-up time of the command, beside that of the interpreter and of torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks import processes
from benchmarks.clock import in_turn
from benchmarks.processes import Usage
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log

_INTERPRETER, _TORCH = "python -c pass", "import torch"
_CLIP_SECONDS = 10


def run(setting: Setting) -> list[Table]:
    """Start each several times, in turn."""
    rounds = setting.options.n_rounds(5, 2)
    log(f"startup: {rounds} rounds")
    usages = in_turn(_starts(setting), rounds)
    torch_s = _median(usages[_TORCH]) - _median(usages[_INTERPRETER])
    rows: list[Row] = [
        {"what": what, "rounds": rounds, **processes.typical(of_one), **_share(what, torch_s, _median(of_one))}
        for what, of_one in usages.items()
    ]
    return [Table("Startup", rows, [f"Importing torch takes {torch_s:.2f} s of a process that does."])]


def _starts(setting: Setting) -> dict[str, Callable[[], Usage]]:
    model, song = setting.models.get(2), setting.songs.file(_CLIP_SECONDS)
    return {
        _INTERPRETER: partial(processes.run, [sys.executable, "-c", "pass"]),
        _TORCH: partial(processes.run, [sys.executable, "-c", "import torch"]),
        "spleeter --help": partial(processes.run, [sys.executable, "-m", "spleeter", "--help"]),
        f"{_CLIP_SECONDS} s clip, {model.label}": partial(
            processes.separate, model, song, device=setting.options.device
        ),
    }


def _share(what: str, torch_s: float, wall_s: float) -> Row:
    """The share of torch's import in a process that imports it."""
    imports_torch = what == _TORCH or "clip" in what
    return {"torch_import_percent": round(100 * torch_s / wall_s)} if imports_torch else {}


def _median(usages: list[Usage]) -> float:
    return median(usage.wall_s for usage in usages)
