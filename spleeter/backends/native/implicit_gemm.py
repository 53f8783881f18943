"""A convolution as an implicit GEMM: which input values and kernel slices each block of the reduction multiplies.

    M  positions
    N  output channels
    K  kernel taps × input channels, the reduction, in blocks of 32

A position is one output pixel or, of a transposed convolution with stride s, a square of s × s output pixels; each
pixel of the square, a phase, has its own taps. The im2col matrix is not stored: a K block names 32 consecutive values
of an input row (width, channels) instead, two halves of 16, each with its kernel slice (convolution.c).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

__all__ = ["LANES", "ConvGeometry", "ImplicitGemm", "KBlock", "KernelSlice", "implicit_gemm"]

LANES = 16
"""float32 values of a vector, and rows of a tile: channel counts are multiples of it."""


class ConvGeometry(NamedTuple):
    """Kernel size, stride and padding of a convolution, the same along both axes.

    A transposed one multiplies sizes by its stride: its output padding makes up for what its kernel leaves out.
    """

    kernel_size: int
    stride: int
    padding: int
    is_transposed: bool = False

    def output_size(self, size: int) -> int:
        """Rows or columns of the output, of `size` rows or columns of the input."""
        if self.is_transposed:
            return size * self.stride
        return (size + 2 * self.padding - self.kernel_size) // self.stride + 1


class KernelSlice(NamedTuple):
    """16 input channels of a kernel tap, from `channel` on."""

    row: int
    column: int
    channel: int


_ZEROS = KernelSlice(-1, -1, -1)
"""Stands for a slice of zeros."""


class KBlock(NamedTuple):
    """A block of 32 along K: where its input values begin, relative to a position's patch, and its kernel slices."""

    row: int
    column: int
    channel: int
    slices: tuple[KernelSlice, KernelSlice]


@dataclass(frozen=True)
class ImplicitGemm:
    """The K blocks of a convolution.

    Attributes:
        phases: the K blocks of each output pixel of a position's square, row by row.
        stride: input rows and columns from one position to the next.
        padding: zeros before the first row and column.
        patch_size: rows and columns of the input patch that a position is computed from.
        upsampling: output rows and columns of a position: the stride if the convolution is transposed, else 1.
    """

    phases: tuple[tuple[KBlock, ...], ...]
    stride: int
    padding: int
    patch_size: int
    upsampling: int


class _Tap(NamedTuple):
    """A kernel row or column, and the row or column of the patch that it multiplies."""

    patch: int
    kernel: int


@cache
def implicit_gemm(geometry: ConvGeometry, in_channels: int) -> ImplicitGemm:
    """List the K blocks of a convolution; `in_channels` is a multiple of 16.

    A transposed convolution adds input pixel i, times kernel tap k, to output pixel i · stride - padding + k. So the
    taps that reach an output pixel depend on its remainder by the stride, its phase.

    Raises:
        ValueError: if a convolution's stride could leave out columns at the end of a row.
    """
    kernel_size, stride, padding, is_transposed = geometry
    if not is_transposed and padding < stride - 2:
        raise ValueError(f"{geometry} leaves out columns at the end of a row: padding must be at least stride - 2")
    if is_transposed:
        offsets = [
            [((phase + padding - k) // stride, k) for k in range(kernel_size) if (phase + padding - k) % stride == 0]
            for phase in range(stride)
        ]
        lead = -min(offset for phase in offsets for offset, _ in phase)
        phase_taps = [[_Tap(offset + lead, k) for offset, k in phase] for phase in offsets]
        stride, padding, upsampling = 1, lead, stride
    else:
        phase_taps, upsampling = [[_Tap(k, k) for k in range(kernel_size)]], 1
    patch_size = 1 + max(tap.patch for taps in phase_taps for tap in taps)
    phases = tuple(_phase(rows, columns, in_channels) for rows, columns in product(phase_taps, phase_taps))
    return ImplicitGemm(phases, stride, padding, patch_size, upsampling)


def _phase(rows: Iterable[_Tap], columns: Sequence[_Tap], in_channels: int) -> tuple[KBlock, ...]:
    """The K blocks of a phase, in an order in which neighbours read the same pixels again."""
    blocks = [block for row in rows for block in _row(row, columns, in_channels)]
    return tuple(sorted(blocks, key=lambda block: (block.row, block.channel, block.column)))


def _row(row: _Tap, columns: Sequence[_Tap], in_channels: int) -> list[KBlock]:
    """The K blocks of a kernel row: halves of 16 channels, in pairs where they are consecutive in the input row."""
    halves = sorted(
        (column.patch, channel, column.kernel) for column in columns for channel in range(0, in_channels, LANES)
    )
    blocks = []
    while halves:
        column, channel, k = halves.pop(0)
        slices = (KernelSlice(row.kernel, k, channel), _ZEROS)
        if halves:
            next_column, next_channel, next_k = halves[0]
            if next_column * in_channels + next_channel == column * in_channels + channel + LANES:
                slices = (slices[0], KernelSlice(row.kernel, next_k, next_channel))
                halves.pop(0)
        blocks.append(KBlock(row.patch, column, channel, slices))
    return blocks
