"""Songs changed at random, so that a network hears more of them than there are.

After Uhlich et al., "Improving music source separation based on deep neural networks through data augmentation and
network blending", ICASSP 2017, sounds are made louder or softer and their channels swapped, stem by stem. Pitch and
tempo are changed as the original does: magnitudes are interpolated along frequency or time, all stems alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from spleeter.configuration import Augmentation


@dataclass(frozen=True)
class Change:
    """What is done to a segment.

    Args:
        gains: that each stem is multiplied by.
        swaps: whether each stem's channels change places.
        pitch: that all frequencies are multiplied by.
        tempo: that the speed is multiplied by.
    """

    gains: tuple[float, ...]
    swaps: tuple[bool, ...]
    pitch: float
    tempo: float

    @classmethod
    def none(cls, n_stems: int) -> Change:
        """Leave everything as it is."""
        return cls((1.0,) * n_stems, (False,) * n_stems, 1.0, 1.0)

    @property
    def keeps_stems(self) -> bool:
        """Whether each stem stays as it is, within the mixture."""
        return all(gain == 1 for gain in self.gains) and not any(self.swaps)

    def n_bins(self, F: int) -> int:
        """How many bins have to be known for `F` to be made."""
        return F if self.pitch == 1 else ceil((F - 1) / self.pitch) + 2

    def of_magnitudes(self, magnitudes: Tensor, T: int, F: int) -> Tensor:
        """Magnitudes (..., frames, bins) -> (..., T, F), at another pitch and tempo; zero where nothing is known."""
        at_tempo = _stretched(magnitudes, T, self.tempo, dim=-2)
        return _stretched(at_tempo, F, 1 / self.pitch, dim=-1)


def draw_change(augmentation: Augmentation, n_stems: int, generator: np.random.Generator) -> Change:
    """Draw a change; gains and pitches evenly in dB and semitones."""
    gains = 10 ** (augmentation.gain_db * generator.uniform(-1, 1, n_stems) / 20)
    swaps = generator.random(n_stems) < augmentation.channel_swap
    pitch = 2 ** (augmentation.pitch_semitones * generator.uniform(-1, 1) / 12)
    tempo = 1 + augmentation.time_stretch * generator.uniform(-1, 1)
    return Change(tuple(map(float, gains)), tuple(map(bool, swaps)), float(pitch), float(tempo))


def _stretched(x: Tensor, n: int, factor: float, dim: int) -> Tensor:
    """Take `n` values along an axis, `factor` apart, between those that are there; zero beyond them."""
    if factor == 1 and x.shape[dim] >= n:
        return x.narrow(dim, 0, n)
    positions = torch.arange(n, dtype=torch.float64) * factor
    lower = positions.long()
    weight = (positions - lower).to(x.device, x.dtype)
    lower = lower.to(x.device)
    shape = [-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)]
    return _taken(x, lower, (1 - weight).reshape(shape), dim) + _taken(x, lower + 1, weight.reshape(shape), dim)


def _taken(x: Tensor, indices: Tensor, weights: Tensor, dim: int) -> Tensor:
    """The values at some indices along an axis, times weights; zero at indices that there are none for."""
    known = (indices < x.shape[dim]).to(x.dtype).reshape(weights.shape)
    return x.index_select(dim, indices.clamp(max=x.shape[dim] - 1)) * (weights * known)
