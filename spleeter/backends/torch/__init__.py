"""The backend of torch: CUDA, MPS and the CPU, and networks of your own."""

from __future__ import annotations

import torch
from torch import nn

from spleeter.backends.base import Device, Model
from spleeter.backends.torch.device import TorchDevice, select_device, select_precision
from spleeter.backends.torch.inference import prepare_for_inference
from spleeter.backends.torch.weights import load_network
from spleeter.types import Array
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.threads import Threads

__all__ = ["TorchBackend", "find_device", "open_backend"]


def find_device(name: str) -> TorchDevice | None:
    """A CUDA or MPS device by its name; None for "auto" where there is neither.

    Raises:
        DeviceError: if there is no such device here.
    """
    device = select_device(name)
    return None if device.type == "cpu" else TorchDevice(device)


def open_backend(model: Model, device: Device, precision: str) -> TorchBackend:
    """Load a network. Raises ModelError."""
    if device.kind == "cpu":
        keep_freed_memory()
    # In a thread that ends afterwards, and with it the OpenMP team that torch starts there: where two threads of a
    # process have a team, OpenMP counts more threads than cores and lets both teams sleep between operators.
    loader = Threads(1, "spleeter-load")
    try:
        return loader.submit(
            lambda: TorchBackend(load_network(model.folder, model.configuration, model.trust), device, precision)
        ).result()
    finally:
        loader.shutdown()


class TorchBackend:
    """A network of torch, prepared for inference.

    Args:
        network: magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F). It must not be
            used by others any more.
        device: where it computes. On a CPU it takes and returns NumPy arrays, without copying them.
        precision: what it computes in.
    """

    name = "torch"

    def __init__(self, network: nn.Module, device: Device, precision: str = "float32") -> None:
        self.device = device
        target = device.device if isinstance(device, TorchDevice) else torch.device("cpu")
        if target.type == "cuda":
            # A switch for the whole process: with TF32, 72 dB of the original's samples are left.
            torch.backends.cudnn.allow_tf32 = False
        self._network = prepare_for_inference(network, target, select_precision(precision, target))

    @property
    def n_threads(self) -> int:
        """CPU threads that torch computes with in the current thread."""
        return torch.get_num_threads()

    @n_threads.setter
    def n_threads(self, n_threads: int) -> None:
        if n_threads != torch.get_num_threads():
            torch.set_num_threads(n_threads)

    @torch.no_grad()
    def estimate(self, magnitudes: Array) -> Array:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F), float32."""
        if self.device.kind == "cpu":
            return self._network(torch.from_numpy(magnitudes)).numpy()
        return self._network(magnitudes)
