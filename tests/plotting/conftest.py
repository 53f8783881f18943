"""Waveforms, and the spectrograms that a collector makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spleeter.plotting import SpectrogramCollector, Spectrograms
from spleeter.types import Waveform

RATE = 44100
LOW = 4000
"""A sample rate at which songs of minutes take little time."""


def tone(frequency: float, n_samples: int, rate: int = RATE) -> Waveform:
    """A sine at full scale in both channels: float32 (samples, 2)."""
    sine = np.sin(2 * np.pi * frequency / rate * np.arange(n_samples)).astype(np.float32)
    return np.stack([sine, sine], axis=1)


def noise(n_samples: int, seed: int = 0) -> Waveform:
    """Gaussian noise, 20 dB below full scale: float32 (samples, 2)."""
    waveform: Waveform = np.random.default_rng(seed).normal(0, 0.1, (n_samples, 2)).astype(np.float32)
    return waveform


def gathered(
    mixture: Waveform, stems: Mapping[str, Waveform], rate: int = RATE, block: int = 100_000
) -> Spectrograms:
    """The spectrograms of a mixture and its stems, added block by block."""
    collector = SpectrogramCollector(rate, list(stems))
    for first in range(0, len(mixture), block):
        part = slice(first, first + block)
        collector.add(mixture[part], {name: stem[part] for name, stem in stems.items()})
    return collector.finish()
