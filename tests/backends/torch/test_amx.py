"""Convolutions on AMX give what torch gives in double precision, to a hundredth of a thousandth."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spleeter.backends.native.steps import Geometry
from spleeter.backends.torch import amx

pytestmark = pytest.mark.skipif(
    not amx.is_available(), reason="needs a processor with AMX, and an installation with a C compiler"
)

HALVING, DOUBLING = Geometry(5, 2, 2), Geometry(5, 2, 2, is_transposed=True)
TAIL, HEAD = Geometry(4, 2, 1), Geometry(3, 1, 1)
GEOMETRIES = [HALVING, DOUBLING, TAIL, HEAD]
LEAST_DB = 100
"""A product in split float32 leaves out 2^-17 of it: 102 dB below, if all had the same sign."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """The same by torch, in double precision."""
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
    inputs: list[amx.Input],
    weight: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    after: nn.Module | None = None,
    n_parts: int = 2,
) -> Tensor:
    convolution = amx.split_convolution(geometry, *weight.shape[:2], n_parts)
    return convolution.convolve(inputs, convolution.laid_out(weight), bias, after or nn.Identity())


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(
    ("n_inputs", "n_outputs", "height", "width"),
    [
        (16, 16, 8, 8),  # less than a tile
        (16, 32, 34, 50),  # the end of a tile is beyond the row
        (48, 16, 6, 70),  # three blocks of sixteen channels
        (64, 48, 12, 32),  # from here on pixels lie apart
        (512, 32, 4, 8),
        (32, 16, 300, 260),  # several strips
    ],
)
def test_convolutions(geometry: Geometry, n_inputs: int, n_outputs: int, height: int, width: int) -> None:
    x, bias = noise(1, n_inputs, height, width), noise(n_outputs, seed=1)
    weight = noise(n_inputs, n_outputs, geometry.size, geometry.size, seed=2)
    assert_near(on_amx([amx.Input(x)], weight, bias, geometry), convolved(x, weight, bias, geometry))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_of_one_part_numbers_are_those_of_bfloat16(geometry: Geometry) -> None:
    x, weight = noise(1, 32, 20, 40), noise(32, 32, geometry.size, geometry.size, seed=2)
    given = on_amx([amx.Input(x)], weight, None, geometry, n_parts=1)
    assert_near(given, convolved(x.bfloat16(), weight.bfloat16(), None, geometry), least=130)


def test_numbers_have_one_or_two_parts() -> None:
    with pytest.raises(ValueError, match="1 or 2 parts, not 3"):
        amx.SplitConvolution(HALVING, 16, 16, 3)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_songs_of_a_batch_are_apart(geometry: Geometry) -> None:
    x, weight = noise(3, 32, 10, 20), noise(32, 32, geometry.size, geometry.size, seed=2)
    together = on_amx([amx.Input(x)], weight, None, geometry)
    for number in range(3):
        song = x[number : number + 1].contiguous(memory_format=torch.channels_last)
        assert torch.equal(together[number], on_amx([amx.Input(song)], weight, None, geometry)[0])


@pytest.mark.parametrize("after", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.3), nn.ELU()], ids=str)
def test_activations(after: nn.Module) -> None:
    x, weight, bias = noise(1, 16, 12, 40), noise(16, 16, 5, 5, seed=2), noise(16, seed=1)
    x[..., 20:] *= 1e-3  # outputs about zero too
    assert_near(on_amx([amx.Input(x)], weight, bias, HALVING, after), after(convolved(x, weight, bias, HALVING)))


def test_elu_from_minus_infinity_to_zero() -> None:
    """A kernel that passes its input on: what the parts leave out is 2^-17 of it."""
    values = torch.cat([-torch.logspace(-6, 4, 480), torch.tensor([0.0, -0.0, 1.0, 1e4]), torch.zeros(28)])
    x = values.reshape(1, 1, 16, 32).expand(1, 16, 16, 32).contiguous(memory_format=torch.channels_last)
    given = on_amx([amx.Input(x)], torch.eye(16)[:, :, None, None], None, Geometry(1, 1, 0), nn.ELU())
    torch.testing.assert_close(given, functional.elu(x.double()).float(), rtol=2**-16, atol=2e-7)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU()], ids=str)
def test_inputs_side_by_side_and_what_they_go_through(activation: nn.Module) -> None:
    skip, x, weight = noise(2, 16, 9, 21), noise(2, 48, 9, 21, seed=3), noise(64, 32, 5, 5, seed=2)
    scale, shift = noise(48, seed=4), noise(48, seed=5)
    given = on_amx([amx.Input(skip), amx.Input(x, amx.Before(scale, shift, activation))], weight, None, DOUBLING)
    normed = activation(scale[:, None, None].double() * x + shift[:, None, None])
    assert_near(given, convolved(torch.cat([skip, normed], dim=1), weight, None, DOUBLING))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_turned_round(geometry: Geometry) -> None:
    x, weight = noise(2, 16, 8, 40), noise(16, 32, geometry.size, geometry.size, seed=2)
    convolution = amx.SplitConvolution(geometry, 16, 32, 2)
    kernel = convolution.laid_out(weight)
    turned = convolution.convolve([amx.Input(x)], kernel, turns_output=True)
    assert torch.equal(turned, convolution.convolve([amx.Input(x)], kernel).flip(-2, -1))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(
    ("n_inputs", "n_outputs", "height", "width"),
    [
        (16, 16, 2, 4),
        (16, 48, 34, 50),  # an odd number of tiles
        (32, 32, 200, 300),  # several strips, which threads share
        (128, 240, 8, 24),  # too many factors for a sum of each thread's own
        (128, 240, 400, 24),  # in several strips, which are added
    ],
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_gradients(
    geometry: Geometry, n_inputs: int, n_outputs: int, height: int, width: int, is_turned: bool
) -> None:
    x, weight = noise(2, n_inputs, height, width), noise(n_inputs, n_outputs, geometry.size, geometry.size, seed=2)
    exact_x, exact_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    kernel = exact_weight.flip(-2, -1) if is_turned else exact_weight
    output = convolved(exact_x, kernel, None, geometry)
    gradient = noise(*output.shape, seed=3)
    of_x, of_weight = torch.autograd.grad(output, (exact_x, exact_weight), gradient.double())

    convolution = amx.split_convolution(geometry, n_inputs, n_outputs, 2)
    adjoint = convolution.adjoint()
    adjoint_kernel = adjoint.laid_out(weight.transpose(0, 1), is_turned)
    assert_near(adjoint.convolve([amx.Input(gradient)], adjoint_kernel), of_x)
    assert_near(convolution.kernel_gradient(x, gradient, weight, is_turned), of_weight)


def test_a_gradient_lies_in_memory_as_the_kernel_does() -> None:
    x, gradient, weight = noise(1, 32, 8, 8), noise(1, 16, 4, 4), noise(16, 32, 5, 5)
    of_weight = amx.split_convolution(HALVING, 32, 16, 2).kernel_gradient(x, gradient, weight.transpose(0, 1))
    assert of_weight.stride() == weight.transpose(0, 1).stride()


@pytest.mark.parametrize("n_threads", [1, 3, 7])
@pytest.mark.parametrize(("n_inputs", "n_outputs", "height"), [(16, 32, 30), (128, 240, 6), (16, 16, 5)])
def test_gradients_by_any_number_of_threads(n_inputs: int, n_outputs: int, height: int, n_threads: int) -> None:
    """More than there are rows or tiles, too; and of an odd number of rows."""
    x, weight = noise(2, n_inputs, height, 20), noise(n_inputs, n_outputs, 5, 5, seed=2)
    exact = weight.double().requires_grad_()
    output = convolved(x, exact, None, HALVING)
    gradient = noise(*output.shape, seed=3)
    (expected,) = torch.autograd.grad(output, exact, gradient.double())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        given = amx.split_convolution(HALVING, n_inputs, n_outputs, 2).kernel_gradient(x, gradient, weight)
    finally:
        torch.set_num_threads(before)
    assert_near(given, expected)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU()], ids=str)
@pytest.mark.parametrize(("n_channels", "height", "width"), [(16, 40, 37), (48, 3, 5), (256, 8, 16)])
@pytest.mark.parametrize("is_activated", [False, True])
def test_gradients_of_norms(
    activation: nn.Module, n_channels: int, height: int, width: int, is_activated: bool
) -> None:
    """With the activation after the scale and shift, or before, and of a gradient that lies beside another."""
    before = noise(2, n_channels, height, width)
    scale, shift = noise(n_channels, seed=4), noise(n_channels, seed=5)
    gradient = noise(2, n_channels + 16, height, width, seed=6)[:, 16:]
    exact = [tensor.double().requires_grad_() for tensor in (before, scale, shift)]
    x, by, plus = exact[0], exact[1][:, None, None], exact[2][:, None, None]
    output = by * activation(x) + plus if is_activated else activation(by * x + plus)
    expected = torch.autograd.grad(output, exact, gradient.double())
    given = amx.norm_gradients(
        gradient, activation(before) if is_activated else before, scale, None if is_activated else shift, activation
    )
    for got, wanted in zip(given, expected, strict=True):
        assert_near(got, wanted)


def test_gradients_of_norms_of_another_layout_are_refused() -> None:
    x, scale = noise(1, 16, 4, 6), noise(16)
    for gradient in (x.contiguous(), x[:, :, ::2], noise(1, 16, 4, 5), x.double(), noise(1, 32, 4, 6)[:, ::2]):
        with pytest.raises(ValueError, match="like what it is of"):
            amx.norm_gradients(gradient, x, scale, None, nn.ReLU())


def test_nothing_gives_nothing() -> None:
    convolution, weight = amx.split_convolution(HALVING, 16, 32, 2), noise(16, 32, 5, 5)
    x, gradient = noise(0, 16, 8, 8), noise(0, 32, 4, 4)
    assert convolution.convolve([amx.Input(x)], convolution.laid_out(weight)).shape == (0, 32, 4, 4)
    assert not convolution.kernel_gradient(x, gradient, weight).any()


def test_whatever_torch_takes_by_default() -> None:
    x, weight = noise(1, 16, 8, 8), noise(16, 16, 5, 5)
    expected = on_amx([amx.Input(x)], weight, None, HALVING)
    torch.set_default_dtype(torch.bfloat16)
    try:
        convolution = amx.SplitConvolution(HALVING, 16, 16, 2)
        given = convolution.convolve([amx.Input(x)], convolution.laid_out(weight))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(given, expected)


def test_gradients_are_the_same_each_time() -> None:
    x, gradient, weight = noise(2, 16, 200, 300), noise(2, 32, 100, 150), noise(16, 32, 5, 5)
    convolution = amx.split_convolution(HALVING, 16, 32, 2)
    first = convolution.kernel_gradient(x, gradient, weight)
    for _ in range(3):
        assert torch.equal(convolution.kernel_gradient(x, gradient, weight), first)


def test_a_kernel_may_lie_in_memory_in_any_way() -> None:
    weight = noise(32, 16, 5, 5)
    convolution = amx.SplitConvolution(HALVING, 32, 16, 2)
    expected = convolution.laid_out(weight.contiguous())
    for order in ((3, 1, 0, 2), (0, 2, 3, 1), (2, 3, 1, 0)):
        permuted = weight.permute(order).contiguous().permute([order.index(axis) for axis in range(4)])
        assert torch.equal(convolution.laid_out(permuted), expected)
    assert torch.equal(convolution.laid_out(weight.flip(-2, -1), is_turned=True), expected)


def test_the_result_does_not_depend_on_the_threads() -> None:
    x, weight = noise(1, 32, 64, 64), noise(32, 64, 5, 5, seed=2)
    expected = on_amx([amx.Input(x)], weight, None, HALVING)
    n_threads = torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            assert torch.equal(on_amx([amx.Input(x)], weight, None, HALVING), expected)
    finally:
        torch.set_num_threads(n_threads)


def test_numbers_of_sixteen_bits_are_multiplied_exactly() -> None:
    """By factors of eight bits, so that nothing is left out."""
    random = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**15), 2**15, (1, 16, 6, 24), generator=random).float()
    weight = torch.randint(-1, 2, (16, 16, 3, 3), generator=random).float()
    given = on_amx([amx.Input(x.contiguous(memory_format=torch.channels_last))], weight, None, HEAD)
    assert torch.equal(given.double(), convolved(x, weight, None, HEAD))


def test_other_channels_than_sixteens_are_refused() -> None:
    for n_inputs, n_outputs in ((16, 24), (8, 16)):
        with pytest.raises(ValueError, match="multiples of 16"):
            amx.SplitConvolution(HALVING, n_inputs, n_outputs, 2)


def test_tensors_of_another_kind_are_refused() -> None:
    convolution, x = amx.SplitConvolution(HALVING, 32, 16, 2), noise(1, 32, 8, 8)
    kernel = convolution.laid_out(noise(32, 16, 5, 5))
    for inputs in ([x[:, :16]], [x, x], [x.double()], [x.contiguous()], [x[:, :16].clone(), noise(1, 16, 8, 4)]):
        with pytest.raises(ValueError, match="channels"):
            convolution.convolve([amx.Input(one) for one in inputs], kernel)
    with pytest.raises(ValueError, match="instead of"):
        convolution.convolve([amx.Input(x)], kernel[:-1])
    with pytest.raises(ValueError, match="each of 16 channels"):
        convolution.convolve([amx.Input(x)], kernel, noise(32))
    with pytest.raises(ValueError, match="what came of"):
        convolution.kernel_gradient(x, noise(1, 16, 8, 8), noise(32, 16, 5, 5))
    for weight in (noise(32, 16, 3, 3), noise(16, 32, 5, 5), noise(32, 16, 5, 5).double()):
        with pytest.raises(ValueError, match="float32 kernel"):
            convolution.laid_out(weight)
