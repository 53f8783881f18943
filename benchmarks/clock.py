"""Timing: what is compared is measured in turn, so that a machine that gets busy slows all of it down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

Key = TypeVar("Key")
Measured = TypeVar("Measured")


def in_turn(measures: Mapping[Key, Callable[[], Measured]], rounds: int) -> dict[Key, list[Measured]]:
    """Take every measure once in each of several rounds; what each gave, in the order of the rounds."""
    taken: dict[Key, list[Measured]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            taken[key].append(measure())
    return taken


def timer(
    act: Callable[[], object], device: torch.device, at_least: float = 0.0, warm_up: bool = True
) -> Callable[[], float]:
    """A measure of the seconds that one call takes, the device's work included.

    Args:
        act: what is timed.
        at_least: it is called until this many seconds are over, for what is too short to be timed alone.
        warm_up: whether to call it once here, untimed.
    """
    if warm_up:
        act()

    def seconds() -> float:
        synchronise(device)
        start, calls, elapsed = time.perf_counter(), 0, 0.0
        while not calls or elapsed < at_least:
            act()
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
