"""What C could not check is refused before it gets there, with or without AMX."""

import pytest
import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx
from spleeter.backends.torch.blocks import DOWNSAMPLING


def noise(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


@pytest.fixture
def convolution() -> amx.AmxConvolution:
    return amx.AmxConvolution(DOWNSAMPLING, 32, 16, 2)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(16, 24), (8, 16), (0, 16), (16, -16)])
def test_channels_that_are_not_multiples_of_16(in_channels: int, out_channels: int) -> None:
    with pytest.raises(ValueError, match=f"multiples of 16: {in_channels} to {out_channels}"):
        amx.AmxConvolution(DOWNSAMPLING, in_channels, out_channels, 2)


def test_other_numbers_of_components() -> None:
    with pytest.raises(ValueError, match="1 or 2 components, not 3"):
        amx.AmxConvolution(DOWNSAMPLING, 16, 16, 3)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([noise(1, 16, 8, 8)], "32 channels in all, each a multiple of 16, not 16"),
        ([noise(1, 32, 8, 8), noise(1, 32, 8, 8)], "32 channels in all, each a multiple of 16, not 64"),
        ([noise(1, 24, 8, 8), noise(1, 8, 8, 8)], "each a multiple of 16"),
        ([noise(1, 32, 8, 8).double()], "be float32"),
        ([noise(1, 32, 8, 8).contiguous()], "have their channels last"),
        ([noise(1, 48, 8, 8)[:, :32]], "have their channels last"),
        ([noise(1, 16, 8, 8), noise(1, 16, 8, 4)], "have the same sizes"),
        ([noise(1, 16, 8, 8), noise(2, 16, 8, 8)], "have the same sizes"),
    ],
)
def test_inputs_of_another_layout_or_type(convolution: amx.AmxConvolution, inputs: list[Tensor], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convolution.convolve([amx.FusedInput(x) for x in inputs], torch.empty(0))


def test_packed_kernels_biases_and_prologues_of_another_size(convolution: amx.AmxConvolution) -> None:
    x, n_packed = noise(1, 32, 8, 8), 2 * 25 * 32 * 16  # two components of 5 × 5 taps × 32 × 16 channels
    with pytest.raises(ValueError, match=f"of {n_packed - 1} values instead of {n_packed}"):
        convolution.convolve([amx.FusedInput(x)], torch.empty(n_packed - 1))
    with pytest.raises(ValueError, match="each of 16 channels"):
        convolution.convolve([amx.FusedInput(x)], torch.empty(n_packed), noise(32))
    with pytest.raises(ValueError, match="each of 32 channels"):
        convolution.convolve([amx.FusedInput(x, amx.Prologue(noise(16), noise(16)))], torch.empty(n_packed))


@pytest.mark.parametrize("weight", [noise(32, 16, 3, 3), noise(16, 32, 5, 5), noise(32, 16, 5, 5).double()])
def test_kernels_of_another_shape_or_type(convolution: amx.AmxConvolution, weight: Tensor) -> None:
    with pytest.raises(ValueError, match="not a float32 kernel"):
        convolution.pack(weight)


def test_output_gradients_of_another_shape(convolution: amx.AmxConvolution) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        convolution.kernel_gradient(noise(1, 32, 8, 8), noise(1, 16, 8, 8), noise(32, 16, 5, 5))


@pytest.mark.parametrize(
    "gradient",
    [
        noise(1, 16, 4, 6).contiguous(),
        noise(1, 16, 4, 6)[:, :, ::2],
        noise(1, 16, 4, 5),
        noise(1, 16, 4, 6).double(),
        noise(1, 32, 4, 6)[:, ::2],
    ],
)
def test_norm_gradients_of_another_layout(gradient: Tensor) -> None:
    with pytest.raises(ValueError, match="be float32 and have its channels last"):
        amx.norm_backward(gradient, noise(1, 16, 4, 6), noise(16), None, nn.ReLU())
