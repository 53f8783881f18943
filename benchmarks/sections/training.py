"""Steps of training a second: forward, mean absolute error on magnitudes, backward, Adam."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch.nn.functional import l1_loss

from benchmarks.arithmetic import network_gflop, segment_seconds
from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, tell
from spleeter.configuration import Configuration
from spleeter.model.functions import build

_BATCH = 2
_PASSES = 3
"""Forward, and backward to the inputs and to the weights of each layer, cost about the same."""


def run(setting: Setting) -> list[Table]:
    """Take a few steps with the full-size network of 2 stems."""
    configuration, rounds = Configuration.load("spleeter:2stems"), setting.options.n_rounds(5, 2)
    tell(f"training: {rounds} steps")
    times = in_turn({"step": timer(_step(configuration, setting.device), setting.device)}, rounds)["step"]
    step_s, n_stems = median(times), len(configuration.instrument_list)
    row: Row = {
        "what": f"{n_stems} stems, {_BATCH} segments",
        "steps": rounds,
        "step_s": step_s,
        "steps_per_s": 1 / step_s,
        "x_real_time": _BATCH * segment_seconds(configuration) / step_s,
        "gflop_per_s": _PASSES * _BATCH * n_stems * network_gflop(configuration) / step_s,
    }
    note = "Batch norm with fixed statistics, as the released models were trained; three passes' operations counted."
    return [Table("Training: one step", [row], [note])]


def _step(configuration: Configuration, device: torch.device) -> Callable[[], None]:
    """A step on random magnitudes, always the same."""
    network = build(configuration).eval().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs lack it
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    shape = (_BATCH, configuration.n_channels, configuration.T, configuration.F)
    mixture = torch.rand(shape, device=device).to(memory_format=torch.channels_last)
    targets = torch.rand((len(configuration.instrument_list), *shape), device=device) * mixture

    def step() -> None:
        optimiser.zero_grad()
        l1_loss(network(mixture), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step
