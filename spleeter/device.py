"""The choice of the compute device, made once."""

import re
from collections.abc import Callable

import torch

from spleeter.errors import DeviceError

_AVAILABLE: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}


def select_device(name: str = "auto") -> torch.device:
    """Pick the device that `name` asks for; "auto" takes CUDA, else MPS, else the CPU.

    Args:
        name: "auto", "cpu", "mps", "cuda" or "cuda:N".

    Raises:
        DeviceError: if there is no such device here.
    """
    if name == "auto":
        return torch.device(next(kind for kind, available in _AVAILABLE.items() if available()))
    kind, _, index = name.partition(":")
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name):
        raise DeviceError(f"unknown device {name!r}: choose auto, cpu, cuda, cuda:N or mps")
    if not _AVAILABLE[kind]():
        raise DeviceError(f"device {name!r} is not available on this machine; choose auto or cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name!r} is not there: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    return torch.device(name)
