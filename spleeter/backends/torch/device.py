"""The choice of the compute device and of the type it computes in, made once."""

import re
from collections.abc import Callable

import torch

from spleeter.errors import DeviceError
from spleeter.utils.logging import logger

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


_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def select_precision(name: str, device: torch.device) -> torch.dtype:
    """Look up the type that the network is to compute in; a warning tells where float32 would be faster.

    Args:
        name: "float32", "bfloat16" or "float16".
        device: where it will compute.

    Raises:
        DeviceError: if there is no such type.
    """
    if name not in _PRECISIONS:
        raise DeviceError(f"unknown precision {name!r}: choose {', '.join(_PRECISIONS)}")
    if device.type == "cpu" and not _is_fast_on_cpu(name):
        logger.warning("this processor has no fast arithmetic in %s: float32 would be faster", name)
    return _PRECISIONS[name]


def _is_fast_on_cpu(precision: str) -> bool:
    """float16 is not, even where there are instructions for it; bfloat16 is on AMX and AVX-512 processors."""
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return precision == "float32" or (precision == "bfloat16" and has_bfloat16())
