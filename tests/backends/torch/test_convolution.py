"""Convolutions with packed kernels equal torch's documented ones."""

import platform

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spleeter.backends.torch.convolution import PackedConvolution, in_place

ACTIVATIONS = [None, nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU()]
with_activations = pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def activated(x: Tensor, activation: nn.Module | None) -> Tensor:
    return x if activation is None else activation(x)


@with_activations
@pytest.mark.parametrize(("stride", "padding", "size"), [(2, 2, 5), (2, 1, 4), (1, 1, 3)])
def test_convolution(stride: int, padding: int, size: int, activation: nn.Module | None) -> None:
    weight, bias, x = noise(6, 4, size, size), noise(6, seed=1), noise(2, 4, 16, 24, seed=2)
    conv = PackedConvolution(weight, bias, stride, padding, activation=activation)
    expected = activated(functional.conv2d(x, weight, bias, stride, padding), activation)
    for _ in range(2):
        torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv(x[:1]), expected[:1])  # another batch size than the kernel was packed for


@with_activations
def test_transposed_convolution_doubles_sizes(activation: nn.Module | None) -> None:
    weight, bias, x = noise(4, 6, 5, 5), noise(6, seed=1), noise(2, 4, 8, 12, seed=2)
    conv = PackedConvolution(weight, bias, stride=2, padding=2, transposed=True, activation=activation)
    expected = activated(functional.conv_transpose2d(x, weight, bias, 2, 2, output_padding=1), activation)
    assert expected.shape == (2, 6, 16, 24)
    torch.testing.assert_close(conv(x), expected)


def test_without_a_bias() -> None:
    weight, x = noise(6, 4, 3, 3), noise(1, 4, 8, 8, seed=2)
    torch.testing.assert_close(PackedConvolution(weight, None, 1, 1)(x), functional.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("transposed", [False, True])
def test_without_the_packed_operators_the_result_is_the_same(
    monkeypatch: pytest.MonkeyPatch, transposed: bool
) -> None:
    weight, bias, x = noise(4, 4, 5, 5), noise(4, seed=1), noise(1, 4, 8, 8, seed=2)
    expected = PackedConvolution(weight, bias, 2, 2, transposed, nn.ReLU())(x)
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    conv = PackedConvolution(weight, bias, 2, 2, transposed, nn.ReLU())
    torch.testing.assert_close(conv(x), expected)
    assert conv.weight.shape == weight.shape


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the operators are known to be there on x86"
)
@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_are_packed_here(transposed: bool) -> None:
    conv = PackedConvolution(noise(16, 16, 5, 5), noise(16, seed=1), 2, 2, transposed)
    conv(noise(1, 16, 32, 32))
    assert not conv.weight.numel(), "torch has changed its operators: kernels are reordered on every call"


@pytest.mark.parametrize("activation", ACTIVATIONS[1:], ids=str)
def test_in_place_overwrites_the_input_and_leaves_the_original_module_alone(activation: nn.Module) -> None:
    x = noise(3, 5)
    expected = activation(x)
    made = in_place(activation)
    assert made(x) is x
    assert torch.equal(x, expected)
    assert not activation.inplace
