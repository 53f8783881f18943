"""Convolutions on AMX and their gradients equal torch's in double precision, to 1e-5."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spleeter.backends.native.implicit_gemm import ConvGeometry
from spleeter.backends.torch import amx
from spleeter.backends.torch.blocks import DOWNSAMPLING, HEAD, LAST_UPSAMPLING, UPSAMPLING

pytestmark = pytest.mark.skipif(
    not amx.is_available(), reason="needs a processor with AMX, and an installation with a C compiler"
)

GEOMETRIES = [DOWNSAMPLING, UPSAMPLING, LAST_UPSAMPLING, HEAD]
LEAST_DB = 100
"""A product in split float32 has an error of 2^-17: -102 dB, if all errors had the same sign."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: ConvGeometry) -> Tensor:
    """The same by torch in double precision, the oracle."""
    x, weight, bias = x.double(), weight.double(), None if bias is None else bias.double()
    if geometry.is_transposed:
        return functional.conv_transpose2d(x, weight, bias, geometry.stride, geometry.padding, geometry.stride - 1)
    return functional.conv2d(x, weight.transpose(0, 1), bias, geometry.stride, geometry.padding)


def assert_near(given: Tensor, expected: Tensor, least: float = LEAST_DB) -> None:
    assert given.shape == expected.shape
    assert given.dtype == torch.float32
    error = (given - expected).square().sum() / expected.square().sum()
    assert -10 * error.log10() > least


def on_amx(
    inputs: list[amx.FusedInput],
    weight: Tensor,
    bias: Tensor | None,
    geometry: ConvGeometry,
    activation: nn.Module | None = None,
    n_components: int = 2,
) -> Tensor:
    convolution = amx.amx_convolution(geometry, *weight.shape[:2], n_components)
    return convolution.convolve(inputs, convolution.pack(weight), bias, activation or nn.Identity())


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(
    ("in_channels", "out_channels", "height", "width"),
    [
        (16, 16, 8, 8),  # smaller than a tile
        (16, 32, 34, 50),  # the last tile extends beyond the row
        (48, 16, 6, 70),  # three vectors of channels
        (64, 48, 12, 32),  # from here on pixels are padded
        (512, 32, 4, 8),
        (32, 16, 300, 260),  # several strips
    ],
)
def test_convolutions(geometry: ConvGeometry, in_channels: int, out_channels: int, height: int, width: int) -> None:
    x, bias = noise(1, in_channels, height, width), noise(out_channels, seed=1)
    weight = noise(in_channels, out_channels, geometry.kernel_size, geometry.kernel_size, seed=2)
    assert_near(on_amx([amx.FusedInput(x)], weight, bias, geometry), convolved(x, weight, bias, geometry))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_one_component_computes_in_bfloat16(geometry: ConvGeometry) -> None:
    x, weight = noise(1, 32, 20, 40), noise(32, 32, geometry.kernel_size, geometry.kernel_size, seed=2)
    given = on_amx([amx.FusedInput(x)], weight, None, geometry, n_components=1)
    assert_near(given, convolved(x.bfloat16(), weight.bfloat16(), None, geometry), least=130)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_items_of_a_batch_are_independent(geometry: ConvGeometry) -> None:
    x, weight = noise(3, 32, 10, 20), noise(32, 32, geometry.kernel_size, geometry.kernel_size, seed=2)
    batch = on_amx([amx.FusedInput(x)], weight, None, geometry)
    for index in range(3):
        item = x[index : index + 1].contiguous(memory_format=torch.channels_last)
        assert torch.equal(batch[index], on_amx([amx.FusedInput(item)], weight, None, geometry)[0])


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.3), nn.ELU()], ids=str)
def test_activations(activation: nn.Module) -> None:
    x, weight, bias = noise(1, 16, 12, 40), noise(16, 16, 5, 5, seed=2), noise(16, seed=1)
    x[..., 20:] *= 1e-3  # outputs about zero too
    expected = activation(convolved(x, weight, bias, DOWNSAMPLING))
    assert_near(on_amx([amx.FusedInput(x)], weight, bias, DOWNSAMPLING, activation), expected)


def test_elu_from_minus_infinity_to_zero() -> None:
    """A kernel that is the identity: two components of a value have an error of 2^-17."""
    values = torch.cat([-torch.logspace(-6, 4, 480), torch.tensor([0.0, -0.0, 1.0, 1e4]), torch.zeros(28)])
    x = values.reshape(1, 1, 16, 32).expand(1, 16, 16, 32).contiguous(memory_format=torch.channels_last)
    given = on_amx([amx.FusedInput(x)], torch.eye(16)[:, :, None, None], None, ConvGeometry(1, 1, 0), nn.ELU())
    torch.testing.assert_close(given, functional.elu(x.double()).float(), rtol=2**-16, atol=2e-7)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU()], ids=str)
def test_concatenated_inputs_and_a_prologue(activation: nn.Module) -> None:
    skip, x, weight = noise(2, 16, 9, 21), noise(2, 48, 9, 21, seed=3), noise(64, 32, 5, 5, seed=2)
    scale, shift = noise(48, seed=4), noise(48, seed=5)
    inputs = [amx.FusedInput(skip), amx.FusedInput(x, amx.Prologue(scale, shift, activation))]
    given = on_amx(inputs, weight, None, UPSAMPLING)
    normed = activation(scale[:, None, None].double() * x + shift[:, None, None])
    assert_near(given, convolved(torch.cat([skip, normed], dim=1), weight, None, UPSAMPLING))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_flipped_output(geometry: ConvGeometry) -> None:
    x, weight = noise(2, 16, 8, 40), noise(16, 32, geometry.kernel_size, geometry.kernel_size, seed=2)
    convolution = amx.AmxConvolution(geometry, 16, 32, 2)
    kernel = convolution.pack(weight)
    flipped = convolution.convolve([amx.FusedInput(x)], kernel, flip_output=True)
    assert torch.equal(flipped, convolution.convolve([amx.FusedInput(x)], kernel).flip(-2, -1))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(
    ("in_channels", "out_channels", "height", "width"),
    [
        (16, 16, 2, 4),
        (16, 48, 34, 50),  # an odd number of tiles
        (32, 32, 200, 300),  # several strips, which threads share
        (128, 240, 8, 24),  # a kernel too large for a sum of each thread's own
        (128, 240, 400, 24),  # several strips, whose products are added
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_gradients(
    geometry: ConvGeometry, in_channels: int, out_channels: int, height: int, width: int, flip: bool
) -> None:
    x = noise(2, in_channels, height, width)
    weight = noise(in_channels, out_channels, geometry.kernel_size, geometry.kernel_size, seed=2)
    exact_x, exact_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    kernel = exact_weight.flip(-2, -1) if flip else exact_weight
    output = convolved(exact_x, kernel, None, geometry)
    grad_output = noise(*output.shape, seed=3)
    grad_x, grad_weight = torch.autograd.grad(output, (exact_x, exact_weight), grad_output.double())

    convolution = amx.amx_convolution(geometry, in_channels, out_channels, 2)
    adjoint = convolution.adjoint()
    adjoint_kernel = adjoint.pack(weight.transpose(0, 1), flip)
    assert_near(adjoint.convolve([amx.FusedInput(grad_output)], adjoint_kernel), grad_x)
    assert_near(convolution.kernel_gradient(x, grad_output, weight, flip), grad_weight)


def test_a_kernel_gradient_has_the_strides_of_the_kernel() -> None:
    x, grad_output, weight = noise(1, 32, 8, 8), noise(1, 16, 4, 4), noise(16, 32, 5, 5)
    grad_weight = amx.amx_convolution(DOWNSAMPLING, 32, 16, 2).kernel_gradient(x, grad_output, weight.transpose(0, 1))
    assert grad_weight.stride() == weight.transpose(0, 1).stride()


@pytest.mark.parametrize("n_threads", [1, 3, 7])
@pytest.mark.parametrize(("in_channels", "out_channels", "height"), [(16, 32, 30), (128, 240, 6), (16, 16, 5)])
def test_gradients_by_any_number_of_threads(in_channels: int, out_channels: int, height: int, n_threads: int) -> None:
    """More than there are rows or tiles, too; and an odd number of rows."""
    x, weight = noise(2, in_channels, height, 20), noise(in_channels, out_channels, 5, 5, seed=2)
    exact = weight.double().requires_grad_()
    output = convolved(x, exact, None, DOWNSAMPLING)
    grad_output = noise(*output.shape, seed=3)
    (expected,) = torch.autograd.grad(output, exact, grad_output.double())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        given = amx.amx_convolution(DOWNSAMPLING, in_channels, out_channels, 2).kernel_gradient(
            x, grad_output, weight
        )
    finally:
        torch.set_num_threads(before)
    assert_near(given, expected)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU()], ids=str)
@pytest.mark.parametrize(("n_channels", "height", "width"), [(16, 40, 37), (48, 3, 5), (256, 8, 16)])
@pytest.mark.parametrize("activation_first", [False, True])
def test_gradients_of_norms(
    activation: nn.Module, n_channels: int, height: int, width: int, activation_first: bool
) -> None:
    """With the activation after the norm or before it, and a gradient that is a slice of the channels of another."""
    before = noise(2, n_channels, height, width)
    scale, shift = noise(n_channels, seed=4), noise(n_channels, seed=5)
    grad_output = noise(2, n_channels + 16, height, width, seed=6)[:, 16:]
    exact = [tensor.double().requires_grad_() for tensor in (before, scale, shift)]
    x, by, plus = exact[0], exact[1][:, None, None], exact[2][:, None, None]
    output = by * activation(x) + plus if activation_first else activation(by * x + plus)
    expected = torch.autograd.grad(output, exact, grad_output.double())
    if activation_first:
        given = amx.norm_backward(grad_output, activation(before), scale, None, activation)
    else:
        given = amx.norm_backward(grad_output, before, scale, shift, activation)
    for got, wanted in zip(given, expected, strict=True):
        assert_near(got, wanted)


def test_empty_batches() -> None:
    convolution, weight = amx.amx_convolution(DOWNSAMPLING, 16, 32, 2), noise(16, 32, 5, 5)
    x, grad_output = noise(0, 16, 8, 8), noise(0, 32, 4, 4)
    assert convolution.convolve([amx.FusedInput(x)], convolution.pack(weight)).shape == (0, 32, 4, 4)
    assert not convolution.kernel_gradient(x, grad_output, weight).any()


def test_torch_default_dtype_does_not_matter() -> None:
    x, weight = noise(1, 16, 8, 8), noise(16, 16, 5, 5)
    expected = on_amx([amx.FusedInput(x)], weight, None, DOWNSAMPLING)
    torch.set_default_dtype(torch.bfloat16)
    try:
        convolution = amx.AmxConvolution(DOWNSAMPLING, 16, 16, 2)
        given = convolution.convolve([amx.FusedInput(x)], convolution.pack(weight))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(given, expected)


def test_gradients_are_the_same_each_time() -> None:
    x, grad_output, weight = noise(2, 16, 200, 300), noise(2, 32, 100, 150), noise(16, 32, 5, 5)
    convolution = amx.amx_convolution(DOWNSAMPLING, 16, 32, 2)
    first = convolution.kernel_gradient(x, grad_output, weight)
    for _ in range(3):
        assert torch.equal(convolution.kernel_gradient(x, grad_output, weight), first)


def test_kernels_may_have_any_strides() -> None:
    weight = noise(32, 16, 5, 5)
    convolution = amx.AmxConvolution(DOWNSAMPLING, 32, 16, 2)
    expected = convolution.pack(weight.contiguous())
    for order in ((3, 1, 0, 2), (0, 2, 3, 1), (2, 3, 1, 0)):
        permuted = weight.permute(order).contiguous().permute([order.index(axis) for axis in range(4)])
        assert torch.equal(convolution.pack(permuted), expected)
    assert torch.equal(convolution.pack(weight.flip(-2, -1), flip=True), expected)


def test_the_output_does_not_depend_on_the_number_of_threads() -> None:
    x, weight = noise(1, 32, 64, 64), noise(32, 64, 5, 5, seed=2)
    expected = on_amx([amx.FusedInput(x)], weight, None, DOWNSAMPLING)
    n_threads = torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            assert torch.equal(on_amx([amx.FusedInput(x)], weight, None, DOWNSAMPLING), expected)
    finally:
        torch.set_num_threads(n_threads)


def test_products_of_16_bit_inputs_and_8_bit_kernels_are_exact() -> None:
    """Hi and lo hold 8 bits each, so no lo · lo is dropped."""
    random = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**15), 2**15, (1, 16, 6, 24), generator=random).float()
    weight = torch.randint(-1, 2, (16, 16, 3, 3), generator=random).float()
    given = on_amx([amx.FusedInput(x.contiguous(memory_format=torch.channels_last))], weight, None, HEAD)
    assert torch.equal(given.double(), convolved(x, weight, None, HEAD))
