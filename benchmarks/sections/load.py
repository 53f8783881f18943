"""The network and a step of training while other programs keep cores busy, in turn with a quiet machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median

import torch

from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.sections.training import a_batch, a_step, training_configuration
from benchmarks.setting import Setting, log
from spleeter.backends.base import HostDevice
from spleeter.backends.torch import TorchBackend
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.training.step import flush_denormals
from spleeter.utils.allocator import keep_freed_memory

_BUSY = (0, 1, 2)
"""How many other processes compute."""

_CPU = torch.device("cpu")


def run(setting: Setting) -> list[Table]:
    """Measure on the CPU, whatever the device is."""
    keep_freed_memory()
    rounds = setting.options.n_rounds(9, 3)
    log(f"load: {rounds} rounds beside up to {max(_BUSY)} busy processes")
    work: dict[str, Callable[[], object]] = {f"network, {n} stems": _network(n) for n in (2, 4)}
    with flush_denormals():
        configuration = training_configuration()
        work["step of training"] = a_step(configuration, _CPU, "float32", a_batch(setting, configuration))
        timers = {what: timer(function, _CPU) for what, function in work.items()}
        measures = {(what, n): partial(_beside, n, timers[what]) for what in work for n in _BUSY}
        taken = in_turn(measures, rounds)
    rows = [_row(what, {n: median(taken[what, n]) for n in _BUSY}) for what in work]
    note = f"On {torch.get_num_threads()} threads. With as many busy processes as cores, half of each core is left."
    return [Table("Beside busy processes", rows, [note])]


def _network(n_stems: int) -> Callable[[], object]:
    configuration = Configuration.load(f"spleeter:{n_stems}stems")
    backend = TorchBackend(build(configuration), HostDevice())
    magnitudes = torch.rand(1, configuration.n_channels, configuration.T, configuration.F).numpy()
    return lambda: backend.estimate(magnitudes)


def _beside(n_busy: int, measure: Callable[[], float]) -> float:
    with busy_processes(n_busy):
        return measure()


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    with ExitStack() as stack:
        for _ in range(n):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        if n:
            time.sleep(0.3)  # until they have started
        yield


def _row(what: str, seconds: Mapping[int, float]) -> Row:
    row: Row = {"what": what}
    for n, median_s in seconds.items():
        row[f"busy_{n}_ms"] = 1e3 * median_s
    return {**row, "times_as_long": seconds[1] / seconds[0]}
