"""Sounds of a batch -> the magnitudes that a network is given, and those it is to give."""

from __future__ import annotations

import torch
from torch import Tensor

from spleeter.backends.torch.device import to_device
from spleeter.configuration import Configuration
from spleeter.data.batches import Batch, Segment
from spleeter.dsp.stft import magnitudes, stft


def features(batch: Batch, configuration: Configuration, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mixtures (batch, channels, T, F) and true stems (stems, batch, channels, T, F), magnitudes on `device`.

    One after the other, so that the spectra, which are larger, are small enough for the caches.
    """
    mixtures, stems = to_device(batch.mixtures, device), to_device(batch.stems, device)
    sounds = torch.cat([mixtures[None], stems]).unbind(dim=1)  # each (1 + stems, channels, samples)
    found = [_segment(sound, segment, configuration) for sound, segment in zip(sounds, batch.segments, strict=True)]
    joined = torch.stack(found, dim=1)
    return joined[0], joined[1:]


def _segment(sounds: Tensor, segment: Segment, configuration: Configuration) -> Tensor:
    """(signals, channels, samples) -> magnitudes (signals, channels, T, F)."""
    change, T, F = segment.change, configuration.T, configuration.F
    spectra = (stft(sound, configuration.frame_length, configuration.frame_step) for sound in sounds)
    known = (magnitudes(spectrum[..., : change.n_bins(F)]) for spectrum in spectra)
    return torch.stack([change.of_magnitudes(magnitude, T, F) for magnitude in known])
