"""Waveforms for the tests of audio, and where one lies in another."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from spleeter.types import Waveform


def synthetic(n_samples: int, sample_rate: int = 44100, n_channels: int = 2, seed: int = 0) -> Waveform:
    """Tones, a burst of noise a quarter second, and a noise floor: (samples, channels), peak about 0.5."""
    generator = np.random.default_rng(seed)
    time = np.arange(n_samples) / sample_rate
    tones = sum(np.sin(2 * np.pi * frequency * time) for frequency in (220.0, 331.0, 557.0, 1013.0))
    bursts = np.exp(-20 * (4 * time % 1)) * generator.standard_normal(n_samples)
    mixture = 0.08 * tones * (1 + 0.5 * np.sin(5 * time)) + 0.1 * bursts
    floor = 0.003 * generator.standard_normal((n_samples, n_channels))
    waveform: Waveform = (mixture[:, None] * np.linspace(0.6, 1, n_channels) + floor).astype(np.float32)
    return waveform


def lag(decoded: Waveform, original: Waveform, reach: int = 2500) -> int:
    """By how many samples `decoded` comes later than `original`: the shift with the least squared error."""
    middle = original[reach:-reach, 0].astype(np.float64)
    signal = decoded[: len(original), 0].astype(np.float64)
    energy = np.concatenate([[0], np.cumsum(signal**2)])
    energies = energy[len(middle) :] - energy[: -len(middle)]
    errors = energies - 2 * fftconvolve(signal, middle[::-1], mode="valid")
    return int(np.argmin(errors)) - reach


def snr(decoded: Waveform, original: Waveform) -> float:
    """Signal to noise ratio in dB, over the common length."""
    length = min(len(decoded), len(original))
    original = original[:length].astype(np.float64)
    return float(10 * np.log10(np.sum(original**2) / max(1e-30, np.sum((decoded[:length] - original) ** 2))))
