"""Data-parallel training in several processes, started by `torchrun`: ranks, devices, all-reduce."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from spleeter.errors import TrainingError

__all__ = ["Ranks"]


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, and which of them this is.

    Args:
        rank: number of this process; 0 writes and reports.
        local_rank: its number on this machine, and its device's.
        world_size: number of processes.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """Read the variables that `torchrun` sets; one process without them. Raises TrainingError."""
        values = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
        try:
            return cls(*(int(value) if value else default for value, default in zip(values, (0, 0, 1), strict=True)))
        except ValueError as error:
            raise TrainingError(f"RANK, LOCAL_RANK and WORLD_SIZE must be whole numbers: {error}") from error

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: the chosen one; of several processes on GPUs, each the one of its local rank.

        Raises:
            TrainingError: if there are too few GPUs, or several processes cannot train on such a device.
        """
        if self.world_size == 1 or chosen.type == "cpu":
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

    @contextmanager
    def process_group(self, device: torch.device) -> Iterator[None]:
        """Within this context the processes can communicate; they leave it together.

        What refers to the process group, such as a DistributedDataParallel, must be gone at its end, or the process
        may not exit cleanly.
        """
        if self.world_size == 1:
            yield
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield
            distributed.barrier()
        finally:
            gc.collect()  # a DistributedDataParallel refers to itself
            distributed.destroy_process_group()

    def sum(self, values: Tensor) -> Tensor:
        """All-reduce: the sum of all processes' values, of any shape."""
        if self.world_size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def any(self, *flags: bool, device: torch.device) -> list[bool]:
        """For each flag whether it is set in any process."""
        if self.world_size == 1:
            return list(flags)
        return self.sum(torch.tensor(flags, dtype=torch.int32, device=device)).bool().tolist()

    def agree(self, value: int, device: torch.device) -> bool:
        """Whether all processes have the same value."""
        differs = int(self.sum(torch.tensor(value, device=device))) != value * self.world_size
        return not self.any(differs, device=device)[0]
