"""One training on several devices or machines, started by `torchrun`: who takes part, and what is shared."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from spleeter.errors import TrainingError


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, and which of them this is.

    Args:
        rank: number of this process; 0 writes and reports.
        local_rank: its number on this machine, and its device's.
        world: how many processes there are.
    """

    rank: int = 0
    local_rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """What `torchrun` says; one process if it does not."""
        values = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
        try:
            return cls(*(int(value) if value else default for value, default in zip(values, (0, 0, 1), strict=True)))
        except ValueError as error:
            raise TrainingError(f"RANK, LOCAL_RANK and WORLD_SIZE must be whole numbers: {error}") from error

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: the chosen one, or of several processes each the CUDA device of its number.

        Raises:
            TrainingError: if there are too few, or they cannot work together.
        """
        if self.world == 1 or chosen.type == "cpu":
            return chosen
        if chosen.type != "cuda" or chosen.index is not None:
            raise TrainingError(
                f"several processes train on CPUs, or on all of a machine's GPUs, but not on {chosen}"
            )
        if self.local_rank >= torch.cuda.device_count():
            raise TrainingError(
                f"{self.local_rank + 1} processes need as many GPUs: {torch.cuda.device_count()} are here"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def agree(self, value: int, device: torch.device) -> bool:
        """Whether all processes have the same value."""
        differs = int(self.total(torch.tensor(value, device=device))) != value * self.world
        return not self.any(differs, device=device)[0]

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Within this context the processes can reach each other, and leave it together.

        What refers to the group of processes must be gone at its end, or the process may not end well.
        """
        if self.world == 1:
            yield
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield
            distributed.barrier()
        finally:
            gc.collect()  # a network that is trained in parallel refers to itself
            distributed.destroy_process_group()

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values, of any shape."""
        if self.world > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def any(self, *flags: bool, device: torch.device) -> list[bool]:
        """For each flag whether it is set in any process."""
        if self.world == 1:
            return list(flags)
        return self.total(torch.tensor(flags, dtype=torch.int32, device=device)).bool().tolist()
