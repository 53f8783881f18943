"""From the device to the host, while the device goes on computing."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a tensor to the device; from the CPU to CUDA without waiting until it is there."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class HostCopies:
    """Copies tensors to the host, on CUDA in a stream of their own.

    A copy waits for what was launched before it, not for what was launched later.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def start(self, tensors: Sequence[Tensor]) -> Callable[[], list[np.ndarray]]:
        """Begin to copy; the returned function waits for the copies and gives them."""
        if self._stream is None:
            return lambda: [tensor.cpu().numpy() for tensor in tensors]
        self._stream.wait_stream(torch.cuda.current_stream(tensors[0].device))
        with torch.cuda.stream(self._stream):
            copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
            for copy, tensor in zip(copies, tensors, strict=True):
                copy.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._stream)
            event = self._stream.record_event()

        def finish() -> list[np.ndarray]:
            event.synchronize()
            return [copy.numpy() for copy in copies]

        return finish
