"""A batch of waveforms -> the magnitudes of its mixtures and of its true stems, at the pitch and tempo drawn."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from spleeter.backends.torch.device import to_device
from spleeter.configuration import Configuration
from spleeter.data.batches import Batch, Segment
from spleeter.dsp.stft import magnitudes, stft

__all__ = ["change_pitch_and_tempo", "features", "n_source_bins"]


def features(batch: Batch, configuration: Configuration, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mixtures (batch, channels, T, F) and true stems (stems, batch, channels, T, F), magnitudes on `device`.

    The segments are computed one after the other, so that their spectra fit into the processor's caches.
    """
    mixtures = to_device(torch.from_numpy(batch.mixtures), device)
    stems = to_device(torch.from_numpy(batch.stems), device)
    signals = torch.cat([mixtures[None], stems]).unbind(dim=1)  # of each segment (1 + stems, channels, samples)
    of_segments = [_magnitudes(*pair, configuration) for pair in zip(signals, batch.segments, strict=True)]
    joined = torch.stack(of_segments, dim=1)  # (1 + stems, batch, channels, T, F)
    return joined[0], joined[1:]


def _magnitudes(signals: Tensor, segment: Segment, configuration: Configuration) -> Tensor:
    """(signals, channels, samples) -> magnitudes (signals, channels, T, F)."""
    T, F, pitch, tempo = configuration.T, configuration.F, segment.transform.pitch, segment.transform.tempo
    spectra = (stft(signal, configuration.frame_length, configuration.frame_step) for signal in signals)
    source = (magnitudes(spectrum[..., : n_source_bins(F, pitch)]) for spectrum in spectra)
    return torch.stack([change_pitch_and_tempo(magnitude, T, F, pitch, tempo) for magnitude in source])


def n_source_bins(F: int, pitch: float) -> int:
    """The number of bins that the first `F` bins at another pitch are interpolated from."""
    return F if pitch == 1 else ceil((F - 1) / pitch) + 2


def change_pitch_and_tempo(magnitudes: Tensor, T: int, F: int, pitch: float, tempo: float) -> Tensor:
    """Interpolate magnitudes (..., frames, bins) -> (..., T, F) linearly along time and frequency.

    What lies beyond the last frame or bin is zero.

    Args:
        magnitudes: at the original pitch and tempo.
        T: frames of the result.
        F: bins of the result.
        pitch: factor of all frequencies.
        tempo: factor of the speed.
    """
    at_tempo = _interpolate(magnitudes, T, tempo, dim=-2)
    return _interpolate(at_tempo, F, 1 / pitch, dim=-1)


def _interpolate(x: Tensor, n: int, step: float, dim: int) -> Tensor:
    """Values at the `n` positions 0, step, 2 · step ... along an axis, linearly interpolated; zero beyond its end."""
    if step == 1 and x.shape[dim] >= n:
        return x.narrow(dim, 0, n)
    positions = torch.arange(n, dtype=torch.float64) * step
    lower = positions.long()
    weight = (positions - lower).to(x.device, x.dtype)
    lower = lower.to(x.device)
    shape = [-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)]

    def weighted(indices: Tensor, weights: Tensor) -> Tensor:
        is_inside = (indices < x.shape[dim]).to(x.dtype)
        return x.index_select(dim, indices.clamp(max=x.shape[dim] - 1)) * (weights * is_inside).reshape(shape)

    return weighted(lower, 1 - weight) + weighted(lower + 1, weight)
