"""Signal-to-distortion ratios without filters: SDR and scale-invariant SDR."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spleeter.errors import EvaluationError

__all__ = ["sdr", "si_sdr"]

_BLOCK_SAMPLES = 1 << 18
"""Samples that are converted to double precision at a time, to save memory."""


def sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """The ratio of a stem's energy to the energy of the error, over all samples and channels.

    10 log10(sum s² / sum (s - e)²), as in the Music Demixing Challenge 2021 (Mitsufuji et al., Frontiers in Signal
    Processing 1, 2022).

    Args:
        references: the true signals s (..., samples, channels). For the SDR of each frame, frames from `in_frames`.
        estimates: e, of the same shape.

    Returns:
        float64 (...), in decibels: infinite where there is no error, NaN where the reference is silent.

    Raises:
        EvaluationError: if the shapes differ.
    """
    signal = _total(lambda s, e: s.square(), references, estimates)
    return _decibels(signal, _total(lambda s, e: (s - e).square(), references, estimates))


def si_sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """The scale-invariant SDR: that of the multiple of the reference that is closest to the estimate.

    10 log10(sum (a s)² / sum (a s - e)²) with a = sum s e / sum s² (Le Roux, Wisdom, Erdogan and Hershey, "SDR -
    half-baked or well done?", ICASSP 2019); means are not subtracted. All channels share one factor a, so the balance
    between them counts. Arguments, result and errors are those of `sdr`.
    """
    energy = _total(lambda s, e: s.square(), references, estimates)
    factor = _total(lambda s, e: s * e, references, estimates) / energy
    scale = factor[..., None, None]
    return _decibels(factor.square() * energy, _total(lambda s, e: (scale * s - e).square(), references, estimates))


def _total(term: Callable[[Tensor, Tensor], Tensor], references: Tensor, estimates: Tensor) -> Tensor:
    """The sum of a term over samples and channels, in double precision: float64 (...)."""
    if references.shape != estimates.shape:
        raise EvaluationError(
            f"references have shape {tuple(references.shape)}, but estimates {tuple(estimates.shape)}"
        )
    total = torch.zeros(references.shape[:-2], dtype=torch.float64, device=references.device)
    blocks = (torch.split(signals, _BLOCK_SAMPLES, -2) for signals in (references, estimates))
    for reference, estimate in zip(*blocks, strict=True):
        total += term(reference.to(torch.float64), estimate.to(torch.float64)).sum((-2, -1))
    return total


def _decibels(signal: Tensor, error: Tensor) -> Tensor:
    """Ratios of energies (...) in decibels; NaN where there is no signal."""
    return torch.where(signal == 0, torch.nan, 10 * torch.log10(signal / error))
