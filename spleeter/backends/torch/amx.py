"""Convolutions on AMX, the matrix unit of newer x86 servers, and gradients: float32 as sums of bfloat16.

They are computed by convolution.c, gradient.c and norm.c. Where there is no such processor, or the package was
installed without gcc, `is_available` says so; `SPLEETER_AMX=0` in the environment has it say so as well.
"""

import ctypes
from collections.abc import Sequence
from ctypes import c_int64
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spleeter.backends.native import library
from spleeter.backends.native.steps import LANES, Geometry, steps_of

_TILE = 2 * LANES * LANES
"""Numbers of a part of a kernel for a step and sixteen outputs."""

_IDENTITY = nn.Identity()


def is_available() -> bool:
    """Whether this machine can compute so, and is meant to."""
    return library.library() is not None


def is_known(activation: nn.Module) -> bool:
    """Whether an activation can be part of a convolution."""
    if isinstance(activation, nn.ELU):
        return activation.alpha == 1
    return isinstance(activation, nn.Identity | nn.ReLU | nn.LeakyReLU)


class Before(NamedTuple):
    """What an input goes through before it is convolved: activation(scale · x + shift), by channel.

    `scale` and `shift` are (channels,).
    """

    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: nn.Module = _IDENTITY


NOTHING = Before()


class Input(NamedTuple):
    """A tensor (batch, channels, height, width) that is convolved, and what it goes through before."""

    x: Tensor
    before: Before = NOTHING


class SplitConvolution:
    """A kind of convolution: its geometry and channels. Tensors are float32, on the CPU.

    Args:
        geometry: what it does to rows and columns.
        n_inputs, n_outputs: its channels, multiples of sixteen.
        n_parts: that numbers are taken apart into: 1, which is bfloat16, or 2, which leaves out 2^-17 of a product.
    """

    def __init__(self, geometry: Geometry, n_inputs: int, n_outputs: int, n_parts: int) -> None:
        if n_inputs <= 0 or n_outputs <= 0 or n_inputs % LANES or n_outputs % LANES:
            raise ValueError(f"channels must be multiples of {LANES}: {n_inputs} to {n_outputs}")
        if n_parts not in (1, 2):
            raise ValueError(f"numbers are of 1 or 2 parts, not {n_parts}")
        self._geometry, self._n_inputs, self._n_outputs, self.n_parts = geometry, n_inputs, n_outputs, n_parts
        self.steps = steps_of(geometry, n_inputs)
        numbers = [
            [step.row, step.column, step.channel, *step.factors[0], *step.factors[1]]
            for phase in self.steps.phases
            for step in phase
        ]
        lengths = [len(phase) for phase in self.steps.phases]
        self._table = torch.tensor(numbers, dtype=torch.int32, device="cpu")
        self._n_per_phase = torch.tensor(lengths, dtype=torch.int32, device="cpu")

    def adjoint(self) -> "SplitConvolution":
        """The convolution that takes gradients of the outputs to gradients of the inputs.

        Its kernel is this one's with inputs and outputs exchanged. Sizes must be multiples of the stride.
        """
        geometry = self._geometry._replace(is_transposed=not self._geometry.is_transposed)
        return split_convolution(geometry, self._n_outputs, self._n_inputs, self.n_parts)

    def laid_out(self, weight: Tensor, is_turned: bool = False) -> Tensor:
        """Lay a kernel out.

        Args:
            weight: (inputs, outputs, rows, columns), with any strides.
            is_turned: whether its rows and columns are in reverse order.

        Returns:
            The kernel, for `convolve`.
        """
        self._check_weight(weight)
        kernel = torch.empty(self._n_laid_out, dtype=torch.bfloat16, device="cpu")
        first, (inputs, outputs, rows, columns) = _corner(weight, is_turned)
        strides = (c_int64 * 4)(rows, columns, inputs, outputs)
        _loaded().pack(self._description(), first, strides, kernel.data_ptr(), torch.get_num_threads())
        return kernel

    def convolve(
        self,
        inputs: Sequence[Input],
        kernel: Tensor,
        bias: Tensor | None = None,
        activation: nn.Module = _IDENTITY,
        turns_output: bool = False,
    ) -> Tensor:
        """Convolve inputs side by side.

        Args:
            inputs: channels last, of one batch, height and width.
            kernel: as it was laid out.
            bias: (outputs,).
            activation: of the output.
            turns_output: whether rows and columns of the output are to be in reverse order.

        Returns:
            (batch, outputs, height', width'), channels last.
        """
        _check([given.x for given in inputs], self._n_inputs)
        if kernel.numel() != self._n_laid_out:
            raise ValueError(f"a kernel of {kernel.numel()} numbers instead of {self._n_laid_out}")
        _check_channels(bias, self._n_outputs)
        for given in inputs:
            _check_channels(given.before.scale, given.x.shape[1])
            _check_channels(given.before.shift, given.x.shape[1])
        batch, _, height, width = inputs[0].x.shape
        down, across = self._geometry.output(height), self._geometry.output(width)
        shape = batch, self._n_outputs, down, across
        output = torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)
        if not output.numel():
            return output
        factor = self.steps.factor
        given_inputs = (library.Input * len(inputs))(*map(_described, inputs))
        size = library.Size(batch, height, width, down // factor, across // factor)
        description = self._description(kernel, bias, activation, turns_output)
        n_threads = torch.get_num_threads()
        if not _loaded().convolve(description, given_inputs, len(inputs), size, output.data_ptr(), n_threads):
            raise MemoryError("no memory for the strips of a convolution")
        return output

    def kernel_gradient(self, x: Tensor, gradient: Tensor, weight: Tensor, is_turned: bool = False) -> Tensor:
        """The gradient of a kernel.

        Args:
            x: what was convolved, (batch, inputs, height, width), channels last, as the gradient.
            gradient: of the output, (batch, outputs, height', width').
            weight, is_turned: what was laid out.

        Returns:
            A tensor like the weight.
        """
        size, stride, padding, is_transposed = self._geometry
        self._check_weight(weight)
        _check([x], self._n_inputs)
        _check([gradient], self._n_outputs)
        if gradient.shape[2:] != tuple(map(self._geometry.output, x.shape[2:])) or len(gradient) != len(x):
            raise ValueError(f"a gradient {tuple(gradient.shape)} of what came of {tuple(x.shape)}")
        of_weight = torch.empty_strided(weight.shape, weight.stride(), dtype=torch.float32, device="cpu")
        if not gradient.numel():
            return of_weight.zero_()
        first, (inputs, outputs, rows, columns) = _corner(of_weight, is_turned)
        if is_transposed:
            image, values, strides = gradient, x, (rows, columns, outputs, inputs)
        else:
            image, values, strides = x, gradient, (rows, columns, inputs, outputs)
        correlation = library.Correlation(
            image.data_ptr(), values.data_ptr(), self.n_parts, image.shape[1], values.shape[1],
            size, stride, padding, len(image), *image.shape[2:], *values.shape[2:], first, (c_int64 * 4)(*strides),
        )  # fmt: skip
        if not _loaded().correlate(correlation, torch.get_num_threads()):
            raise MemoryError("no memory for the gradient of a kernel")
        return of_weight

    @property
    def _n_laid_out(self) -> int:
        """Numbers of a kernel that is laid out."""
        return len(self._table) * self._n_outputs // LANES * self.n_parts * _TILE

    def _check_weight(self, weight: Tensor) -> None:
        shape = self._n_inputs, self._n_outputs, self._geometry.size, self._geometry.size
        if weight.shape != shape or weight.dtype != torch.float32 or weight.device.type != "cpu":
            raise ValueError(f"not a float32 kernel of {shape}: {weight.dtype}, {tuple(weight.shape)}")

    def _description(
        self,
        kernel: Tensor | None = None,
        bias: Tensor | None = None,
        activation: nn.Module = _IDENTITY,
        turns_output: bool = False,
    ) -> library.Convolution:
        steps = self.steps
        return library.Convolution(
            self.n_parts, self._n_inputs, self._n_outputs,
            steps.stride, steps.padding, steps.reach, steps.factor, turns_output, _activation(activation),
            self._n_per_phase.data_ptr(), self._table.data_ptr(), _pointer(kernel), _pointer(bias),
        )  # fmt: skip


@cache
def split_convolution(geometry: Geometry, n_inputs: int, n_outputs: int, n_parts: int) -> SplitConvolution:
    """A kind of convolution, made once."""
    return SplitConvolution(geometry, n_inputs, n_outputs, n_parts)


def norm_gradients(
    gradient: Tensor, x: Tensor, scale: Tensor, shift: Tensor | None, activation: nn.Module
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of activation(scale · x + shift), or without a shift of scale · x, where the activation gave x.

    Args:
        gradient: of the output, (batch, channels, height, width), channels last, or some channels of such a tensor.
        x: what is scaled, of the same shape, channels last.
        scale, shift: (channels,), a multiple of sixteen.
        activation: one that is known.

    Returns:
        Gradients of x, or of what was activated to it; of the scale; and of the shift.
    """
    _check([x], len(scale))
    _check_channels(scale, x.shape[1])
    _check_channels(shift, x.shape[1])
    batch, n_channels, height, width = x.shape
    pitch = gradient.stride(3)
    strides = height * width * pitch, 1, width * pitch, pitch
    if gradient.shape != x.shape or gradient.stride() != strides or gradient.dtype != torch.float32:
        raise ValueError("a gradient must be like what it is of, and have its channels last")
    of_x, of_scale, of_shift = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
    norm = library.Norm(
        gradient.data_ptr(), pitch, x.data_ptr(), scale.data_ptr(), _pointer(shift),
        batch * height * width, n_channels, shift is None, _activation(activation),
        of_x.data_ptr(), of_scale.data_ptr(), of_shift.data_ptr(),
    )  # fmt: skip
    if not _loaded().differentiate_norm(norm, torch.get_num_threads()):
        raise MemoryError("no memory for the gradients of a norm")
    return of_x, of_scale, of_shift


def _loaded() -> ctypes.CDLL:
    loaded = library.library()
    assert loaded is not None
    return loaded


# What is read beyond the end of a tensor would not be noticed, so tensors are looked at before.


def _check(tensors: Sequence[Tensor], n_channels: int) -> None:
    """Raise unless tensors of so many channels in all can lie side by side."""
    n_given = sum(x.shape[1] for x in tensors)
    if n_given != n_channels or any(x.shape[1] % LANES for x in tensors):
        raise ValueError(f"{n_channels} channels, in sixteens, are to be convolved, not {n_given}")
    for x in tensors:
        is_alike = x.shape[0] == tensors[0].shape[0] and x.shape[2:] == tensors[0].shape[2:]
        is_float = x.dtype == torch.float32 and x.device.type == "cpu"
        if not (is_alike and is_float and x.is_contiguous(memory_format=torch.channels_last)):
            raise ValueError("tensors must be alike, float32, on the CPU, and have their channels last")


def _check_channels(values: Tensor | None, n_channels: int) -> None:
    if values is None:
        return
    if values.shape != (n_channels,) or values.dtype != torch.float32 or not values.is_contiguous():
        raise ValueError(f"a number for each of {n_channels} channels must be float32, one after the other")


# Tensors and modules as convolution.c takes them.


def _corner(weight: Tensor, is_turned: bool) -> tuple[int, list[int]]:
    """Where the first row and column of a kernel lie, and the strides from there."""
    inputs, outputs, rows, columns = weight.stride()
    if not is_turned:
        return weight.data_ptr(), [inputs, outputs, rows, columns]
    last = (weight.shape[2] - 1) * rows + (weight.shape[3] - 1) * columns
    return weight.data_ptr() + last * weight.element_size(), [inputs, outputs, -rows, -columns]


def _activation(activation: nn.Module) -> library.Activation:
    if isinstance(activation, nn.ELU):
        return library.Activation(1, 0)
    if isinstance(activation, nn.ReLU):
        return library.Activation(0, 0)
    return library.Activation(0, activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 1)


def _described(given: Input) -> library.Input:
    x, (scale, shift, activation) = given
    return library.Input(x.data_ptr(), _pointer(scale), _pointer(shift), x.shape[1], _activation(activation))


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
