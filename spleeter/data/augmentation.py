"""Data augmentation: what is changed in a segment, drawn at random.

Gains and channel swaps, stem by stem, are those of Uhlich et al., "Improving music source separation based on deep
neural networks through data augmentation and network blending", ICASSP 2017. Pitch and tempo, of all stems alike,
are changed as the original does: by interpolating magnitudes (`spleeter.training.features`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spleeter.configuration import Augmentation

__all__ = ["Transform", "draw_transform"]


@dataclass(frozen=True)
class Transform:
    """What is changed in a segment.

    Args:
        gains: factor of each stem's waveform.
        swaps: whether each stem's channels are swapped.
        pitch: factor of all frequencies.
        tempo: factor of the speed.
    """

    gains: tuple[float, ...]
    swaps: tuple[bool, ...]
    pitch: float
    tempo: float

    @classmethod
    def identity(cls, n_stems: int) -> Transform:
        """The transform that changes nothing."""
        return cls((1.0,) * n_stems, (False,) * n_stems, 1.0, 1.0)

    @property
    def keeps_waveforms(self) -> bool:
        """Whether each stem's waveform stays as it is; pitch and tempo change magnitudes only."""
        return all(gain == 1 for gain in self.gains) and not any(self.swaps)


def draw_transform(augmentation: Augmentation, n_stems: int, generator: np.random.Generator) -> Transform:
    """Draw a transform; gains are uniform in dB, pitches in semitones."""
    gains = 10 ** (augmentation.gain_db * generator.uniform(-1, 1, n_stems) / 20)
    swaps = generator.random(n_stems) < augmentation.channel_swap
    pitch = 2 ** (augmentation.pitch_semitones * generator.uniform(-1, 1) / 12)
    tempo = 1 + augmentation.time_stretch * generator.uniform(-1, 1)
    return Transform(tuple(map(float, gains)), tuple(map(bool, swaps)), float(pitch), float(tempo))
