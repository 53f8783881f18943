"""Convolutions on AMX, the matrix unit of newer x86 servers, of float32 numbers taken apart into bfloat16 ones.

They are computed by convolution.c and gradient.c. Where there is no such processor, or the package was installed
without a C compiler, `is_available` says so; `SPLEETER_AMX=0` in the environment says so as well.
"""

import ctypes
import os
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spleeter.native.steps import LANES, Geometry, steps_of

_LIBRARY = Path(__file__).with_name("libsplit.so")
_CPU_FLAGS = {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "fma"}
_TILE = 2 * LANES * LANES
"""Numbers of a part of a kernel for a step and sixteen outputs."""

_IDENTITY = nn.Identity()


def is_available() -> bool:
    """Whether this machine can compute so, and is meant to."""
    return _library() is not None


def is_known(activation: nn.Module) -> bool:
    """Whether an activation can be part of a convolution."""
    if isinstance(activation, nn.ELU):
        return activation.alpha == 1
    return isinstance(activation, nn.Identity | nn.ReLU | nn.LeakyReLU)


class Input(NamedTuple):
    """A tensor (batch, channels, height, width) of which activation(scale · x + shift) is convolved.

    `scale` and `shift` are (channels,).
    """

    x: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: nn.Module = _IDENTITY


class Layout:
    """How a convolution's kernel is laid out, and what it is convolved with.

    Args:
        geometry: what it does to rows and columns.
        n_inputs, n_outputs: its channels, multiples of sixteen.
        n_parts: that numbers are taken apart into: 1, which is bfloat16, or 2, which leaves out 2^-17 of a product.
    """

    def __init__(self, geometry: Geometry, n_inputs: int, n_outputs: int, n_parts: int) -> None:
        if n_inputs % LANES or n_outputs % LANES:
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
        self._table = torch.tensor(numbers, dtype=torch.int32)
        self._n_per_phase = torch.tensor([len(phase) for phase in self.steps.phases], dtype=torch.int32)

    def adjoint(self) -> "Layout":
        """That of the convolution that takes gradients of the outputs to gradients of the inputs.

        Its kernel is this one's with inputs and outputs exchanged. Sizes must be multiples of the stride.
        """
        geometry = self._geometry._replace(is_transposed=not self._geometry.is_transposed)
        return layout_of(geometry, self._n_outputs, self._n_inputs, self.n_parts)

    def laid_out(self, weight: Tensor, is_turned: bool = False) -> Tensor:
        """Lay a kernel out.

        Args:
            weight: float32 (inputs, outputs, rows, columns), with any strides.
            is_turned: whether its rows and columns are in reverse order.
        """
        self._check_kernel(weight)
        n_tiles = len(self._table) * self._n_outputs // LANES * self.n_parts
        kernel = torch.empty(n_tiles * _TILE, dtype=torch.bfloat16)
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
        is_turned: bool = False,
    ) -> Tensor:
        """Convolve inputs side by side.

        Args:
            inputs: float32, channels last, of one batch, height and width.
            kernel: as it was laid out.
            bias: (outputs,).
            activation: of the output.
            is_turned: whether rows and columns of the output are to be in reverse order.

        Returns:
            (batch, outputs, height', width'), channels last.
        """
        batch, _, height, width = inputs[0].x.shape
        self._check([given.x for given in inputs])
        given = (_Input * len(inputs))(*map(_described, inputs))
        down, across = self._geometry.output(height), self._geometry.output(width)
        size = _Size(batch, height, width, down // self.steps.factor, across // self.steps.factor)
        output = torch.empty((batch, self._n_outputs, down, across), memory_format=torch.channels_last)
        description = self._description(kernel, bias, activation, is_turned)
        n_threads = torch.get_num_threads()
        if not _loaded().convolve(description, given, len(given), size, output.data_ptr(), n_threads):
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
        self._check([x])
        self._check_kernel(weight)
        of_weight = torch.empty_strided(weight.shape, weight.stride())
        first, (inputs, outputs, rows, columns) = _corner(of_weight, is_turned)
        size, stride, padding, is_transposed = self._geometry
        if is_transposed:
            image, values, strides = gradient, x, (rows, columns, outputs, inputs)
        else:
            image, values, strides = x, gradient, (rows, columns, inputs, outputs)
        correlation = _Correlation(
            image.data_ptr(), values.data_ptr(), self.n_parts, image.shape[1], values.shape[1],
            size, stride, padding, len(image), *image.shape[2:], *values.shape[2:], first, (c_int64 * 4)(*strides),
        )  # fmt: skip
        if not _loaded().correlate(correlation, torch.get_num_threads()):
            raise MemoryError("no memory for the gradient of a kernel")
        return of_weight

    def _check(self, inputs: Sequence[Tensor]) -> None:
        """What is read beyond the end of a tensor is not noticed later."""
        n_channels = sum(x.shape[1] for x in inputs)
        if n_channels != self._n_inputs or any(x.shape[1] % LANES for x in inputs):
            raise ValueError(f"{self._n_inputs} channels, in sixteens, are to be convolved, not {n_channels}")
        for x in inputs:
            is_alike = x.shape[0] == inputs[0].shape[0] and x.shape[2:] == inputs[0].shape[2:]
            if not (is_alike and x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last)):
                raise ValueError("inputs must be alike, float32, and have their channels last")

    def _check_kernel(self, weight: Tensor) -> None:
        shape = self._n_inputs, self._n_outputs, self._geometry.size, self._geometry.size
        if weight.shape != shape or weight.dtype != torch.float32:
            raise ValueError(f"not a float32 kernel of {shape}: {weight.dtype}, {tuple(weight.shape)}")

    def _description(
        self,
        kernel: Tensor | None = None,
        bias: Tensor | None = None,
        activation: nn.Module = _IDENTITY,
        is_turned: bool = False,
    ) -> "_Convolution":
        steps = self.steps
        return _Convolution(
            self.n_parts, self._n_inputs, self._n_outputs,
            steps.stride, steps.padding, steps.reach, steps.factor, is_turned, _activation(activation),
            self._n_per_phase.data_ptr(), self._table.data_ptr(), _pointer(kernel), _pointer(bias),
        )  # fmt: skip


@cache
def layout_of(geometry: Geometry, n_inputs: int, n_outputs: int, n_parts: int) -> Layout:
    """The layout of a kind of convolution, made once."""
    return Layout(geometry, n_inputs, n_outputs, n_parts)


# The library, and the structures of convolution.c and gradient.c.


@cache
def _library() -> ctypes.CDLL | None:
    if os.environ.get("SPLEETER_AMX") == "0" or not _LIBRARY.exists() or not _has_amx():
        return None
    try:
        library = ctypes.CDLL(str(_LIBRARY))
    except OSError:  # there is no OpenMP that torch computes with
        return None
    library.convolve.argtypes = [
        POINTER(_Convolution), POINTER(_Input), c_int32, POINTER(_Size), c_void_p, c_int32
    ]  # fmt: skip
    library.correlate.argtypes = [POINTER(_Correlation), c_int32]
    library.pack.argtypes = [POINTER(_Convolution), c_void_p, POINTER(c_int64), c_void_p, c_int32]
    library.pack.restype = None
    return library if library.allow() else None


def _loaded() -> ctypes.CDLL:
    library = _library()
    assert library is not None
    return library


def _has_amx() -> bool:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= _CPU_FLAGS


class _Activation(Structure):
    _fields_ = (("is_elu", c_int32), ("slope", c_float))


class _Input(Structure):
    _fields_ = (
        ("data", c_void_p),
        ("scale", c_void_p),
        ("shift", c_void_p),
        ("n_channels", c_int32),
        ("activation", _Activation),
    )


class _Convolution(Structure):
    _fields_ = (
        ("n_parts", c_int32),
        ("n_inputs", c_int32),
        ("n_outputs", c_int32),
        ("stride", c_int32),
        ("padding", c_int32),
        ("reach", c_int32),
        ("factor", c_int32),
        ("is_turned", c_int32),
        ("activation", _Activation),
        ("n_steps", c_void_p),
        ("steps", c_void_p),
        ("kernel", c_void_p),
        ("bias", c_void_p),
    )


class _Size(Structure):
    _fields_ = tuple((name, c_int32) for name in ("batch", "height", "width", "n_down", "n_across"))


class _Correlation(Structure):
    _fields_ = (
        ("image", c_void_p),
        ("values", c_void_p),
        ("n_parts", c_int32),
        ("n_image", c_int32),
        ("n_values", c_int32),
        ("size", c_int32),
        ("stride", c_int32),
        ("padding", c_int32),
        ("batch", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("n_down", c_int32),
        ("n_across", c_int32),
        ("gradient", c_void_p),
        ("strides", c_int64 * 4),
    )


def _corner(weight: Tensor, is_turned: bool) -> tuple[int, list[int]]:
    """Where the first row and column of a kernel lie, and the strides from there."""
    inputs, outputs, rows, columns = weight.stride()
    if not is_turned:
        return weight.data_ptr(), [inputs, outputs, rows, columns]
    last = (weight.shape[2] - 1) * rows + (weight.shape[3] - 1) * columns
    return weight.data_ptr() + last * weight.element_size(), [inputs, outputs, -rows, -columns]


def _activation(activation: nn.Module) -> _Activation:
    if isinstance(activation, nn.ELU):
        return _Activation(1, 0)
    if isinstance(activation, nn.ReLU):
        return _Activation(0, 0)
    return _Activation(0, activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 1)


def _described(given: Input) -> _Input:
    scale, shift = _pointer(given.scale), _pointer(given.shift)
    return _Input(given.x.data_ptr(), scale, shift, given.x.shape[1], _activation(given.activation))


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
