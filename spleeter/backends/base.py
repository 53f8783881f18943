"""The interface between separation and the ways to compute a network: `Backend`, `Device` and `open_backend`.

A new backend is one new module (or package) with the two functions of `BackendModule`, and an entry in `_BACKENDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from spleeter.configuration import Configuration
from spleeter.errors import DeviceError
from spleeter.types import Array, PathLike

__all__ = [
    "PRECISIONS",
    "Backend",
    "Batching",
    "Device",
    "DeviceName",
    "HostDevice",
    "Model",
    "Precision",
    "backends",
    "check_device",
    "check_precision",
    "open_backend",
    "open_device",
]

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""The data type that a network computes in."""

PRECISIONS: tuple[str, ...] = get_args(Precision)

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda", "mps"] | str
"""The devices to choose from; "cuda:N" is the N-th GPU."""


class _Entry(NamedTuple):
    """Where a backend is, and the package that must be installed for it."""

    module: str
    requires: str


_BACKENDS = {"torch": _Entry("spleeter.backends.torch", requires="torch")}
"""The backends by name, in the order of preference. A module is a `BackendModule`, and is imported only if what it
requires is installed."""


@dataclass(frozen=True)
class Model:
    """What a backend loads: a folder with weights, and the configuration of their network.

    Attributes:
        trust: modules of the user's own that may build the network, as for `spleeter.model.functions.find_builder`.
    """

    folder: Path
    configuration: Configuration
    trust: PathLike | Sequence[PathLike] = ()


@dataclass(frozen=True)
class Batching:
    """Batch sizes of a device.

    Attributes:
        hops: of each song that are analysed together; a hop is a segment less its overlap with the next.
        segments: in a batch of the network, of several songs if these are separated at the same time.
        frames: in a block of everything but the network, so that temporaries stay in a core's cache; None for all.
    """

    hops: int
    segments: int
    frames: int | None = None


class Device(Protocol):
    """A compute device, and the copies of arrays to and from it."""

    @property
    def kind(self) -> str:
        """ "cpu", "cuda" or "mps"."""

    @property
    def batching(self) -> Batching:
        """Its batch sizes."""

    def put(self, array: npt.NDArray[np.float32]) -> Array:
        """Copy an array to the device; without waiting, where the device can."""

    def fetch(self, arrays: Sequence[Array]) -> list[Callable[[], npt.NDArray[np.float32]]]:
        """Begin to copy arrays to the host; each returned function waits for one of them, and returns it."""


def _identity(array: Array) -> Array:
    return array


@dataclass(frozen=True)
class HostDevice:
    """The CPU, where arrays are NumPy's."""

    kind: str = "cpu"
    batching: Batching = Batching(hops=1, segments=1, frames=64)

    def put(self, array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the array itself."""
        return array

    def fetch(self, arrays: Sequence[Array]) -> list[Callable[[], npt.NDArray[np.float32]]]:
        """Return the arrays themselves."""
        return [partial(_identity, array) for array in arrays]

    def __str__(self) -> str:
        return self.kind


class Backend(Protocol):
    """A network that is loaded and ready to estimate."""

    n_threads: int
    """CPU threads that `estimate` uses when it is called from the current thread. It is set before it is called; a
    backend for which it means nothing need not heed it."""

    @property
    def name(self) -> str:
        """The name that `open_backend` chooses it by."""

    @property
    def device(self) -> Device:
        """Where it computes."""

    def estimate(self, magnitudes: Array) -> Array:
        """Estimate the stems' magnitudes.

        Args:
            magnitudes: of the mixture, (batch, channels, T, F), float32, of the kind that the device computes with;
                it is not changed.

        Returns:
            (stems, batch, channels, T, F), float32, of the same kind.
        """


class BackendModule(Protocol):
    """The functions of a backend's module."""

    def find_device(self, name: str) -> Device | None:
        """The GPU of a name, or for "auto" the best there is; None if this backend has no such device.

        Raises:
            DeviceError: if there is no such device here.
        """

    def open_backend(self, model: Model, device: Device, precision: str) -> Backend:
        """Load a network. Raises ModelError if it cannot be had."""


def backends() -> dict[str, str | None]:
    """Every backend, in the order of preference, and the reason why it cannot be used here; None if it can."""
    return {
        name: None if find_spec(entry.requires) is not None else f"{entry.requires} is not installed"
        for name, entry in _BACKENDS.items()
    }


def open_device(name: str = "auto") -> Device:
    """Choose the compute device, once.

    Args:
        name: "auto" (CUDA, else MPS, else the CPU), "cpu", "mps", "cuda" or "cuda:N".

    Raises:
        DeviceError: if there is no such device here.
    """
    check_device(name)
    if name == "cpu":
        return HostDevice()
    reasons = backends()
    for backend, reason in reasons.items():
        device = _module(backend).find_device(name) if reason is None else None
        if device is not None:
            return device
    if name == "auto":
        return HostDevice()
    complaint = "; ".join(filter(None, reasons.values())) or "no backend knows it"
    raise DeviceError(f"device {name!r} is not available: {complaint}; choose auto or cpu")


def check_device(name: str) -> None:
    """Refuse a name that no device has. Raises DeviceError."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", name):
        raise DeviceError(f"unknown device {name!r}: choose auto, cpu, cuda, cuda:N or mps")


def check_precision(name: str) -> None:
    """Refuse an unknown precision. Raises DeviceError."""
    if name not in PRECISIONS:
        raise DeviceError(f"unknown precision {name!r}: choose {', '.join(PRECISIONS)}")


def open_backend(model: Model, device: Device, precision: str = "float32", backend: str | None = None) -> Backend:
    """Load a network with a backend.

    Args:
        model: its weights and configuration.
        device: from `open_device`.
        precision: what the network computes in, one of `PRECISIONS`; magnitudes and estimates are float32.
        backend: the name of one; None takes the first that is available.

    Raises:
        ModelError: if the network cannot be built or its weights cannot be loaded.
        DeviceError: if no backend is available, or not the one asked for.
    """
    reasons = {name: reason for name, reason in backends().items() if backend in (None, name)}
    for name, reason in reasons.items():
        if reason is None:
            return _module(name).open_backend(model, device, precision)
    complaint = "; ".join(reason for reason in reasons.values() if reason) or f"unknown backend {backend!r}"
    raise DeviceError(f"no backend to compute with: {complaint}; there are {', '.join(_BACKENDS)}")


def _module(backend: str) -> BackendModule:
    return cast(BackendModule, import_module(_BACKENDS[backend].module))
