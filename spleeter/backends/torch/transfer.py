"""Between the host and the device, while the device goes on computing."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a tensor to the device; to CUDA without waiting until it is there."""
    if device.type == "cuda":
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class HostCopies:
    """Copies tensors to the host: on CUDA in a stream of their own, which waits only for what was launched before."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def start(self, tensor: Tensor) -> Callable[[], npt.NDArray[np.float32]]:
        """Begin to copy; the returned function waits for the copy and gives it."""
        if self._stream is None:
            return lambda: tensor.cpu().numpy()
        self._stream.wait_stream(torch.cuda.current_stream(tensor.device))
        with torch.cuda.stream(self._stream):
            copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            copy.copy_(tensor.contiguous(), non_blocking=True)
            tensor.record_stream(self._stream)
            copied = self._stream.record_event()

        def finish() -> npt.NDArray[np.float32]:
            copied.synchronize()
            return copy.numpy()

        return finish
