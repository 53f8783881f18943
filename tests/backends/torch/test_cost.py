"""What the network costs for a segment, counted and not timed: so no change makes it dearer unseen.

Counted are the multiplications and additions of the convolutions, the memory that operators hand out, and the
operators themselves. Where these values fall, lower the bounds here. tests/pipeline/test_cost.py counts the rest.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from spleeter.backends.base import HostDevice
from spleeter.backends.native.implicit_gemm import LANES
from spleeter.backends.torch import TorchBackend, amx
from spleeter.configuration import Configuration
from spleeter.model.functions import build

MB = 1 << 20


class Cost(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what the operators within this context cost."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gflop = 0.0
        self.mb = 0.0
        self.largest_mb = 0.0
        self.n_operators = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = function(*args, **(kwargs or {}))
        self.n_operators += 1
        if "convolution" in str(function):
            self._count_convolution(args[0], args[1], outputs)
        held = {tensor.untyped_storage().data_ptr() for tensor in self._tensors([*args, *(kwargs or {}).values()])}
        for output in self._tensors(outputs if isinstance(outputs, tuple | list) else [outputs]):
            if output.untyped_storage().data_ptr() not in held:
                n_mb = output.untyped_storage().nbytes() / MB
                self.mb += n_mb
                self.largest_mb = max(self.largest_mb, n_mb)
        return outputs

    def _count_convolution(self, x: Tensor, weight: Tensor, output: Tensor) -> None:
        """Each weight meets each position of the smaller of the two sides, as far as strides go."""
        if weight.dim() == 4:
            n_outputs, n_inputs, height, width = weight.shape
            shrinks = output.shape[-1] <= x.shape[-1]
            positions = output[:, 0].numel() if shrinks else x[:, 0].numel()
            self.gflop += 2 * n_outputs * n_inputs * height * width * positions / 1e9

    @staticmethod
    def _tensors(values: Any) -> list[Tensor]:
        return [value for value in values if isinstance(value, Tensor) and value.layout == torch.strided]


def cost_of_a_segment(descriptor: str, **changes: object) -> Cost:
    """Cost of the network for one segment, with random weights, which cost what others do."""
    configuration = Configuration.load({**Configuration.load(descriptor).to_dict(), **changes})
    backend = TorchBackend(build(configuration), HostDevice())
    shape = 1, configuration.n_channels, configuration.T, configuration.F
    magnitudes = np.random.default_rng(0).random(shape, np.float32)
    usual, cost = backend.n_threads, Cost()
    backend.n_threads = 1  # this one, in which alone operators are seen
    try:
        backend.estimate(magnitudes)  # packs the kernels
        with cost:
            backend.estimate(magnitudes)
    finally:
        backend.n_threads = usual
    return cost


@pytest.fixture(scope="module")
def two_stems() -> Cost:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amx, "is_available", lambda: False)
        return cost_of_a_segment("spleeter:2stems")


def test_arithmetic_of_two_stems(two_stems: Cost) -> None:
    """Two U-Nets of 11.95 GFLOP, and 0.84 for the last layers on blocks instead of 0.24."""
    assert two_stems.gflop == pytest.approx(2 * (11.95 + 0.84), rel=0.01)


def test_memory_handed_out_for_two_stems(two_stems: Cost) -> None:
    assert two_stems.mb < 185
    assert two_stems.largest_mb <= 32, "glibc takes no larger blocks from its heap, where they are used again"


def test_number_of_operators(two_stems: Cost) -> None:
    assert two_stems.n_operators < 125


@pytest.mark.skipif(not amx.is_available(), reason="needs AMX")
def test_two_stems_in_split_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three products for one, in K blocks that are nearly full; and no tensor but the outputs of the layers."""
    gflop = 0.0
    convolve = amx.AmxConvolution.convolve

    def counted(self: amx.AmxConvolution, *args: Any, **kwargs: Any) -> Tensor:
        nonlocal gflop
        output = convolve(self, *args, **kwargs)
        n_products = self.n_components * (self.n_components + 1) // 2
        k = 2 * LANES * sum(map(len, self.gemm.phases)) / self.gemm.upsampling**2  # of each output pixel
        gflop += 2 * n_products * k * output.numel() / 1e9
        return output

    monkeypatch.setattr(amx.AmxConvolution, "convolve", counted)
    cost = cost_of_a_segment("spleeter:2stems")
    assert gflop / 2 == pytest.approx(3 * 2 * (11.95 + 0.84), rel=0.03)  # for two hops
    assert cost.mb < 245
    assert cost.largest_mb <= 32
    assert cost.n_operators < 160


def test_another_stem_costs_no_more_than_the_first_two() -> None:
    filters = {"type": "unet.unet", "params": {"conv_n_filters": [4, 8, 8, 8, 8, 8]}}
    names = ["vocals", "drums", "bass", "other"]
    two, four = (cost_of_a_segment("spleeter:2stems", model=filters, instrument_list=names[:n]) for n in (2, 4))
    assert four.gflop == pytest.approx(2 * two.gflop)
    assert four.mb < 2 * two.mb
    assert four.n_operators < 2 * two.n_operators
