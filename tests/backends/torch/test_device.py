"""A GPU after a fork."""

import numpy as np
import pytest
import torch

from spleeter.backends.torch.device import TorchDevice
from spleeter.errors import DeviceError
from tests.utils.test_forks import holds_in_a_child, needs_fork


@needs_fork
def test_a_gpu_is_refused_in_a_forked_process() -> None:
    device = TorchDevice(torch.device("mps"))  # which needs no GPU to be made

    def is_refused() -> bool:
        with pytest.raises(DeviceError, match=r"'mps' was opened before this process was forked.*'spawn'"):
            device.put(np.zeros(3, np.float32))
        return True

    assert holds_in_a_child(is_refused)
