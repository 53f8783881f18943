"""Convolutions of torch tensors on AMX, the matrix unit of newer x86 servers, in split float32, and their gradients.

The C sources in backends/native compute them: each float32 is split into bfloat16 components (hi and lo). Where the
processor has no AMX or the package was installed without gcc, `is_available` is false; `SPLEETER_AMX=0` in the
environment switches it off.
"""

import ctypes
from collections.abc import Sequence
from ctypes import c_int64
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spleeter.backends.native.implicit_gemm import LANES, ConvGeometry, implicit_gemm
from spleeter.backends.native.library import (
    Activation,
    ConvInput,
    ConvParams,
    ConvShape,
    KernelGradient,
    NormGradient,
    native_library,
)

__all__ = [
    "NO_PROLOGUE",
    "AmxConvolution",
    "FusedInput",
    "Prologue",
    "amx_convolution",
    "is_available",
    "is_fusable",
    "norm_backward",
]

_TILE = 2 * LANES * LANES
"""bfloat16 values of a kernel's tile: 32 along K × 16 output channels."""

_IDENTITY = nn.Identity()


def is_available() -> bool:
    """Whether this process can compute on AMX; `native_library` says why not."""
    return native_library().handle is not None


def is_fusable(activation: nn.Module) -> bool:
    """Whether an activation can be part of a convolution's prologue or epilogue."""
    if isinstance(activation, nn.ELU):
        return activation.alpha == 1
    return isinstance(activation, nn.Identity | nn.ReLU | nn.LeakyReLU)


class Prologue(NamedTuple):
    """Input transform fused into a convolution: activation(scale · x + shift), scale and shift being (channels,)."""

    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: nn.Module = _IDENTITY


NO_PROLOGUE = Prologue()


class FusedInput(NamedTuple):
    """A tensor (batch, channels, height, width) to convolve, and its prologue."""

    x: Tensor
    prologue: Prologue = NO_PROLOGUE


class AmxConvolution:
    """A convolution of a geometry and channel counts, without its kernel. Tensors are float32, on the CPU.

    Args:
        geometry: kernel size, stride and padding.
        in_channels, out_channels: multiples of 16.
        n_components: bfloat16 components that each float32 is split into: 1 is plain bfloat16, 2 has an error of
            2^-17 of each product.

    Raises:
        ValueError: if a count is another.
    """

    def __init__(self, geometry: ConvGeometry, in_channels: int, out_channels: int, n_components: int) -> None:
        if in_channels <= 0 or out_channels <= 0 or in_channels % LANES or out_channels % LANES:
            raise ValueError(f"channels must be multiples of {LANES}: {in_channels} to {out_channels}")
        if n_components not in (1, 2):
            raise ValueError(f"a float32 is split into 1 or 2 components, not {n_components}")
        self._geometry, self.n_components = geometry, n_components
        self._in_channels, self._out_channels = in_channels, out_channels
        self.gemm = implicit_gemm(geometry, in_channels)
        blocks = [
            [block.row, block.column, block.channel, *block.slices[0], *block.slices[1]]
            for phase in self.gemm.phases
            for block in phase
        ]
        self._k_blocks = torch.tensor(blocks, dtype=torch.int32, device="cpu")  # (blocks, 9), `KBlock` in C
        lengths = [len(phase) for phase in self.gemm.phases]
        self._n_k_blocks = torch.tensor(lengths, dtype=torch.int32, device="cpu")

    def adjoint(self) -> "AmxConvolution":
        """The convolution from gradients of the outputs to gradients of the inputs.

        Its kernel is this one's with input and output channels exchanged. Sizes must be multiples of the stride.
        """
        geometry = self._geometry._replace(is_transposed=not self._geometry.is_transposed)
        return amx_convolution(geometry, self._out_channels, self._in_channels, self.n_components)

    def pack(self, weight: Tensor, flip: bool = False) -> Tensor:
        """Split a kernel into components and reorder it into tiles.

        Args:
            weight: (in_channels, out_channels, rows, columns), with any strides.
            flip: whether to flip rows and columns.

        Returns:
            The packed kernel (values,), for `convolve`.
        """
        self._check_weight(weight)
        packed = torch.empty(self._packed_size, dtype=torch.bfloat16, device="cpu")
        first, (inputs, outputs, rows, columns) = _first_and_strides(weight, flip)
        strides = (c_int64 * 4)(rows, columns, inputs, outputs)
        _library().pack_kernel(self._params(), first, strides, packed.data_ptr(), torch.get_num_threads())
        return packed

    def convolve(
        self,
        inputs: Sequence[FusedInput],
        packed_kernel: Tensor,
        bias: Tensor | None = None,
        activation: nn.Module = _IDENTITY,
        flip_output: bool = False,
    ) -> Tensor:
        """Convolve inputs, concatenated along the channels.

        Args:
            inputs: channels last, of one batch size, height and width.
            packed_kernel: from `pack`.
            bias: (out_channels,).
            activation: of the output.
            flip_output: whether to flip the output's rows and columns.

        Returns:
            (batch, out_channels, height', width'), channels last.
        """
        _check_tensors([fused.x for fused in inputs], self._in_channels)
        if packed_kernel.numel() != self._packed_size:
            raise ValueError(f"a packed kernel of {packed_kernel.numel()} values instead of {self._packed_size}")
        _check_channels(bias, self._out_channels)
        for fused in inputs:
            _check_channels(fused.prologue.scale, fused.x.shape[1])
            _check_channels(fused.prologue.shift, fused.x.shape[1])
        batch, _, height, width = inputs[0].x.shape
        rows, columns = self._geometry.output_size(height), self._geometry.output_size(width)
        shape = batch, self._out_channels, rows, columns
        output = torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)
        if not output.numel():
            return output
        upsampling = self.gemm.upsampling
        conv_inputs = (ConvInput * len(inputs))(*map(_conv_input, inputs))
        conv_shape = ConvShape(batch, height, width, rows // upsampling, columns // upsampling)
        params = self._params(packed_kernel, bias, activation, flip_output)
        n_threads = torch.get_num_threads()
        if not _library().convolve(params, conv_inputs, len(inputs), conv_shape, output.data_ptr(), n_threads):
            raise MemoryError("no memory for the strips of a convolution")
        return output

    def kernel_gradient(self, x: Tensor, grad_output: Tensor, weight: Tensor, flip: bool = False) -> Tensor:
        """Compute the gradient of a kernel.

        Args:
            x: the input, (batch, in_channels, height, width), channels last, as the gradient.
            grad_output: gradient of the output, (batch, out_channels, height', width').
            weight, flip: as they were packed.

        Returns:
            The gradient of the weight, in its shape and strides.
        """
        kernel_size, stride, padding, is_transposed = self._geometry
        self._check_weight(weight)
        _check_tensors([x], self._in_channels)
        _check_tensors([grad_output], self._out_channels)
        expected = len(x), *map(self._geometry.output_size, x.shape[2:])
        if (len(grad_output), *grad_output.shape[2:]) != expected:
            raise ValueError(f"a gradient {tuple(grad_output.shape)} does not fit an input {tuple(x.shape)}")
        grad_weight = torch.empty_strided(weight.shape, weight.stride(), dtype=torch.float32, device="cpu")
        if not grad_output.numel():
            return grad_weight.zero_()
        first, (inputs, outputs, rows, columns) = _first_and_strides(grad_weight, flip)
        if is_transposed:
            image, values, strides = grad_output, x, (rows, columns, outputs, inputs)
        else:
            image, values, strides = x, grad_output, (rows, columns, inputs, outputs)
        params = KernelGradient(
            image.data_ptr(), values.data_ptr(), self.n_components, image.shape[1], values.shape[1],
            kernel_size, stride, padding, len(image), *image.shape[2:], *values.shape[2:],
            first, (c_int64 * 4)(*strides),
        )  # fmt: skip
        if not _library().kernel_gradient(params, torch.get_num_threads()):
            raise MemoryError("no memory for the gradient of a kernel")
        return grad_weight

    @property
    def _packed_size(self) -> int:
        """bfloat16 values of a packed kernel."""
        return len(self._k_blocks) * self._out_channels // LANES * self.n_components * _TILE

    def _check_weight(self, weight: Tensor) -> None:
        shape = self._in_channels, self._out_channels, self._geometry.kernel_size, self._geometry.kernel_size
        if weight.shape != shape or weight.dtype != torch.float32 or weight.device.type != "cpu":
            raise ValueError(f"not a float32 kernel of {shape}: {weight.dtype}, {tuple(weight.shape)}")

    def _params(
        self,
        packed_kernel: Tensor | None = None,
        bias: Tensor | None = None,
        activation: nn.Module = _IDENTITY,
        flip_output: bool = False,
    ) -> ConvParams:
        gemm = self.gemm
        return ConvParams(
            self.n_components, self._in_channels, self._out_channels,
            gemm.stride, gemm.padding, gemm.patch_size, gemm.upsampling, flip_output, _activation(activation),
            self._n_k_blocks.data_ptr(), self._k_blocks.data_ptr(), _pointer(packed_kernel), _pointer(bias),
        )  # fmt: skip


@cache
def amx_convolution(geometry: ConvGeometry, in_channels: int, out_channels: int, n_components: int) -> AmxConvolution:
    """An `AmxConvolution`, made once for the same arguments."""
    return AmxConvolution(geometry, in_channels, out_channels, n_components)


def norm_backward(
    grad_output: Tensor, x: Tensor, scale: Tensor, shift: Tensor | None, activation: nn.Module
) -> tuple[Tensor, Tensor, Tensor]:
    """Backward pass of y = activation(scale · x + shift) or, without a shift, of y = scale · x, x = activation(z).

    Args:
        grad_output: gradient of y, (batch, channels, height, width), channels last, or a slice of the channels of
            such a tensor.
        x: of the same shape, channels last.
        scale, shift: (channels,), a multiple of 16.
        activation: one that `is_fusable`.

    Returns:
        Gradients of x or, without a shift, of z; of the scale; and of the shift (the sum of those of y).
    """
    _check_tensors([x], len(scale))
    _check_channels(scale, x.shape[1])
    _check_channels(shift, x.shape[1])
    batch, n_channels, height, width = x.shape
    pixel_stride = grad_output.stride(3)
    strides = height * width * pixel_stride, 1, width * pixel_stride, pixel_stride
    if grad_output.shape != x.shape or grad_output.stride() != strides or grad_output.dtype != torch.float32:
        raise ValueError("the gradient must have the input's shape, be float32 and have its channels last")
    grad_x, grad_scale, grad_shift = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
    params = NormGradient(
        grad_output.data_ptr(), pixel_stride, x.data_ptr(), scale.data_ptr(), _pointer(shift),
        batch * height * width, n_channels, shift is None, _activation(activation),
        grad_x.data_ptr(), grad_scale.data_ptr(), grad_shift.data_ptr(),
    )  # fmt: skip
    if not _library().norm_backward(params, torch.get_num_threads()):
        raise MemoryError("no memory for the gradients of a norm")
    return grad_x, grad_scale, grad_shift


def _library() -> ctypes.CDLL:
    handle = native_library().handle
    assert handle is not None
    return handle


# A read beyond the end of a tensor would go unnoticed in C, so tensors are checked before.


def _check_tensors(tensors: Sequence[Tensor], n_channels: int) -> None:
    """Raise unless tensors can be concatenated to so many channels."""
    n_given = sum(x.shape[1] for x in tensors)
    if n_given != n_channels or any(x.shape[1] % LANES for x in tensors):
        raise ValueError(f"inputs must have {n_channels} channels in all, each a multiple of {LANES}, not {n_given}")
    for x in tensors:
        is_alike = x.shape[0] == tensors[0].shape[0] and x.shape[2:] == tensors[0].shape[2:]
        is_float = x.dtype == torch.float32 and x.device.type == "cpu"
        if not (is_alike and is_float and x.is_contiguous(memory_format=torch.channels_last)):
            raise ValueError("tensors must have the same sizes, be float32, on the CPU, and have their channels last")


def _check_channels(values: Tensor | None, n_channels: int) -> None:
    if values is None:
        return
    if values.shape != (n_channels,) or values.dtype != torch.float32 or not values.is_contiguous():
        raise ValueError(f"one value for each of {n_channels} channels is needed, float32 and contiguous")


# Tensors and modules as the structures of the C library.


def _first_and_strides(weight: Tensor, flip: bool) -> tuple[int, list[int]]:
    """Address of a kernel's first row and column, and the strides from there; negative ones flip it."""
    inputs, outputs, rows, columns = weight.stride()
    if not flip:
        return weight.data_ptr(), [inputs, outputs, rows, columns]
    last = (weight.shape[2] - 1) * rows + (weight.shape[3] - 1) * columns
    return weight.data_ptr() + last * weight.element_size(), [inputs, outputs, -rows, -columns]


def _activation(activation: nn.Module) -> Activation:
    if isinstance(activation, nn.ELU):
        return Activation(1, 0)
    if isinstance(activation, nn.ReLU):
        return Activation(0, 0)
    return Activation(0, activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 1)


def _conv_input(fused: FusedInput) -> ConvInput:
    x, (scale, shift, activation) = fused
    return ConvInput(x.data_ptr(), _pointer(scale), _pointer(shift), x.shape[1], _activation(activation))


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
