"""What a convolution consists of when it is computed 32 inputs at a time (convolution.c).

At every position, one pixel of the output or, of a transposed convolution that doubles, a square of four, the numbers
of some rows and columns are taken in. Those of a row that lie side by side, channel after channel and pixel after
pixel, are multiplied in steps of 32: two blocks of sixteen, each by what the kernel has for its place and channels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

LANES = 16
"""What channels are counted in."""


class Geometry(NamedTuple):
    """Of a convolution, the same in both axes. A transposed one multiplies sizes by its stride."""

    size: int
    stride: int
    padding: int
    is_transposed: bool = False

    def output(self, n: int) -> int:
        """How many rows or columns come of `n`."""
        return n * self.stride if self.is_transposed else (n + 2 * self.padding - self.size) // self.stride + 1


class Factor(NamedTuple):
    """Sixteen inputs of the kernel, from a channel on."""

    row: int
    column: int
    channel: int


_NONE = Factor(-1, -1, -1)


class Step(NamedTuple):
    """Where the numbers of a step lie, from the first pixel that a position takes in on, and what they meet."""

    row: int
    column: int
    channel: int
    factors: tuple[Factor, Factor]


@dataclass(frozen=True)
class Steps:
    """The steps of a convolution.

    Attributes:
        phases: the steps for the output's rows and columns by their places in the square of a position.
        stride: rows and columns of the input from a position to the next.
        padding: zeros before the first row and column.
        reach: rows and columns that a position takes in.
        factor: rows and columns of the output for a position.
    """

    phases: tuple[tuple[Step, ...], ...]
    stride: int
    padding: int
    reach: int
    factor: int


class _Tap(NamedTuple):
    """What row or column, from a position's first on, meets which of the kernel."""

    place: int
    factor: int


@cache
def steps_of(geometry: Geometry, n_inputs: int) -> Steps:
    """Take a convolution of some channels, a multiple of sixteen, apart.

    A transposed convolution gives place i · stride - padding + k of the output the product of place i of the input
    and place k of the kernel, so what a place of the output takes in depends on its remainder by the stride.
    """
    size, stride, padding, is_transposed = geometry
    if not is_transposed and padding < stride - 2:
        raise ValueError(f"columns that {geometry} leaves out at the end of a row are not foreseen")
    if is_transposed:
        taken = [
            [((phase + padding - k) // stride, k) for k in range(size) if (phase + padding - k) % stride == 0]
            for phase in range(stride)
        ]
        lead = -min(place for phase in taken for place, _ in phase)
        by_phase = [[_Tap(place + lead, k) for place, k in phase] for phase in taken]
        stride, padding, factor = 1, lead, stride
    else:
        by_phase, factor = [[_Tap(k, k) for k in range(size)]], 1
    reach = 1 + max(tap.place for phase in by_phase for tap in phase)
    phases = tuple(_phase(rows, columns, n_inputs) for rows, columns in product(by_phase, by_phase))
    return Steps(phases, stride, padding, reach, factor)


def _phase(rows: Iterable[_Tap], columns: Sequence[_Tap], n_inputs: int) -> tuple[Step, ...]:
    """The steps of a phase, in an order in which neighbours read the same pixels again."""
    steps = [step for row in rows for step in _row(row, columns, n_inputs)]
    return tuple(sorted(steps, key=lambda step: (step.row, step.channel, step.column)))


def _row(row: _Tap, columns: Sequence[_Tap], n_inputs: int) -> list[Step]:
    """The steps of a row: blocks of sixteen numbers, two by two where they lie side by side."""
    blocks = sorted(
        (column.place, channel, column.factor) for column in columns for channel in range(0, n_inputs, LANES)
    )
    steps = []
    while blocks:
        place, channel, k = blocks.pop(0)
        factors = [Factor(row.factor, k, channel), _NONE]
        if blocks and _lie_together((place, channel), blocks[0][:2], n_inputs):
            _, next_channel, next_k = blocks.pop(0)
            factors[1] = Factor(row.factor, next_k, next_channel)
        steps.append(Step(row.place, place, channel, (factors[0], factors[1])))
    return steps


def _lie_together(block: tuple[int, int], following: tuple[int, int], n_inputs: int) -> bool:
    (place, channel), (next_place, next_channel) = block, following
    return next_place * n_inputs + next_channel == place * n_inputs + channel + LANES
