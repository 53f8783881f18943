"""Waveform -> waveform: channels, sample rate, sample formats."""

import numpy as np

from spleeter.types import Waveform


def to_n_channels(waveform: Waveform, n_channels: int) -> Waveform:
    """Give a waveform (samples, channels) exactly `n_channels`: the first ones, or all repeated in turn."""
    if waveform.shape[1] >= n_channels:
        return waveform[:, :n_channels]
    repeats = -(-n_channels // max(1, waveform.shape[1]))
    return np.tile(waveform, (1, repeats))[:, :n_channels]


def to_stereo(waveform: Waveform) -> Waveform:
    """Give a waveform (samples, channels) two channels: mono is copied, more than two are cut to the first two."""
    return to_n_channels(waveform, 2)
