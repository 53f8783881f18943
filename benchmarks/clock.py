"""Timing: alternatives are measured in turn, so that a machine that gets busy slows all of them down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

Key = TypeVar("Key")
Measured = TypeVar("Measured")


def in_turn(measures: Mapping[Key, Callable[[], Measured]], rounds: int) -> dict[Key, list[Measured]]:
    """Take every measurement once in each of several rounds; the results of each, in the order of the rounds."""
    taken: dict[Key, list[Measured]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            taken[key].append(measure())
    return taken


def timer(
    function: Callable[[], object], device: torch.device, at_least: float = 0.0, warm_up: bool = True
) -> Callable[[], float]:
    """A measurement of the seconds that one call takes, the device's work included.

    Args:
        function: what is timed.
        at_least: it is called until this many seconds are over, for calls that are too short to be timed alone.
        warm_up: whether to call it once here, untimed.
    """
    if warm_up:
        function()

    def seconds() -> float:
        synchronise(device)
        start, calls, elapsed = time.perf_counter(), 0, 0.0
        while not calls or elapsed < at_least:
            function()
            synchronise(device)
            calls, elapsed = calls + 1, time.perf_counter() - start
        return elapsed / calls

    return seconds


def synchronise(device: torch.device) -> None:
    """Wait until a device has done everything it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
