"""Devices of torch: their choice, and copies between them and the host while they compute."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spleeter.backends.base import PRECISIONS, Batching, check_device, check_precision
from spleeter.errors import DeviceError
from spleeter.utils.logging import logger

__all__ = ["TorchDevice", "select_device", "select_precision", "to_device"]

_AVAILABLE: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}

_BATCHINGS = {"cuda": Batching(hops=8, segments=32), "mps": Batching(hops=4, segments=4)}

_LAUNCHES_AHEAD = 2
"""Batches that may wait on a CUDA device: enough that it never waits, few enough that songs gather meanwhile."""


def select_device(name: str = "auto") -> torch.device:
    """Choose the device that `name` asks for; "auto" takes CUDA, else MPS, else the CPU.

    Args:
        name: "auto", "cpu", "mps", "cuda" or "cuda:N".

    Raises:
        DeviceError: if there is no such device here.
    """
    if name == "auto":
        return torch.device(next(kind for kind, available in _AVAILABLE.items() if available()))
    check_device(name)
    kind, _, index = name.partition(":")
    if not _AVAILABLE[kind]():
        raise DeviceError(f"device {name!r} is not available on this machine; choose auto or cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name!r} is not there: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    return torch.device(name)


def select_precision(name: str, device: torch.device) -> torch.dtype:
    """Look up the type that the network computes in; log a warning where float32 would be faster.

    Args:
        name: one of `PRECISIONS`.
        device: where it computes.

    Raises:
        DeviceError: if there is no such type.
    """
    check_precision(name)
    if device.type == "cpu" and not _is_fast_on_cpu(name):
        logger.warning("this processor has no fast arithmetic in %s: float32 would be faster", name)
    return dict(zip(PRECISIONS, (torch.float32, torch.bfloat16, torch.float16), strict=True))[name]


def _is_fast_on_cpu(precision: str) -> bool:
    """float16 is not, even where there are instructions for it; bfloat16 is on AMX and AVX-512 processors."""
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return precision == "float32" or (precision == "bfloat16" and has_bfloat16())


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; to CUDA without waiting until it is there."""
    if device.type == "cuda":
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class TorchDevice:
    """A CUDA or MPS device, where arrays are tensors.

    On CUDA, copies to the device are queued in its default stream, in which the engine's thread computes, whatever
    the calling thread's stream is. Copies to the host have a stream of their own, which waits only for what was
    launched before.
    """

    def __init__(self, device: torch.device) -> None:
        self._name = str(device)
        if device.type == "cuda" and device.index is None:  # each thread has its own current device
            device = torch.device("cuda", torch.cuda.current_device())
        self.device, self.kind, self.batching = device, device.type, _BATCHINGS[device.type]
        self._stream = torch.cuda.Stream(device) if self.kind == "cuda" else None  # type: ignore[no-untyped-call]
        self._copied: deque[torch.cuda.Event] = deque()
        self._process = os.getpid()

    def __str__(self) -> str:
        return self._name

    def put(self, array: npt.NDArray[np.float32]) -> Tensor:
        """Copy an array to the device; to CUDA without waiting until it is there.

        Raises:
            DeviceError: in a process that was forked since: a GPU's driver does not work there.
        """
        if os.getpid() != self._process:
            raise DeviceError(
                f"device {self._name!r} was opened before this process was forked, and cannot be used here: make the "
                "Separator after the fork, or start processes by 'spawn'"
            )
        if self._stream is None:
            return to_device(torch.from_numpy(array), self.device)
        with torch.cuda.stream(torch.cuda.default_stream(self.device)):
            return to_device(torch.from_numpy(array), self.device)

    def fetch(self, arrays: Sequence[Tensor]) -> list[Callable[[], npt.NDArray[np.float32]]]:
        """Begin to copy tensors to the host; on CUDA, wait until all but the last few batches have arrived."""
        if self._stream is None:
            return [partial(_to_host, tensor) for tensor in arrays]
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in arrays]
            for copy, tensor in zip(copies, arrays, strict=True):
                copy.copy_(tensor.contiguous(), non_blocking=True)
                tensor.record_stream(self._stream)
            copied = self._stream.record_event()
        self._copied.append(copied)
        while len(self._copied) > _LAUNCHES_AHEAD:
            self._copied.popleft().synchronize()
        return [partial(_wait_for, copied, copy) for copy in copies]


def _to_host(tensor: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.cpu().numpy()
    return array


def _wait_for(copied: torch.cuda.Event, copy: Tensor) -> npt.NDArray[np.float32]:
    copied.synchronize()
    array: npt.NDArray[np.float32] = copy.numpy()
    return array
