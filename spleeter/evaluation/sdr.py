"""Signal-to-distortion ratios that need no filters: plain, and whatever the estimate's volume."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spleeter.errors import EvaluationError

_SAMPLES_AT_ONCE = 1 << 18
"""Samples that are taken to double precision at a time."""


def sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """The ratio of a stem's energy to that of the error, over all samples and channels together.

    10 log10(sum s² / sum (s - e)²), as in the Music Demixing Challenge 2021 (Mitsufuji et al., Frontiers in Signal
    Processing 1, 2022).

    Args:
        references: the true signals s (..., samples, channels). With frames from `in_frames`, it is the SDR by frame.
        estimates: e, of the same shape.

    Returns:
        float64 (...), in decibels: infinite where there is no error, NaN where the reference is silent.

    Raises:
        EvaluationError: if the shapes differ.
    """
    wanted = _total(lambda s, e: s.square(), references, estimates)
    return _decibels(wanted, _total(lambda s, e: (s - e).square(), references, estimates))


def si_sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """The same, for the multiple of the reference that comes nearest to the estimate: scale-invariant.

    10 log10(sum (a s)² / sum (a s - e)²) with a = sum s e / sum s² (Le Roux, Wisdom, Erdogan and Hershey, "SDR -
    half-baked or well done?", ICASSP 2019); means are not taken off. All channels share one factor a, so the balance
    between them counts. Arguments, result and errors are those of `sdr`.
    """
    energy = _total(lambda s, e: s.square(), references, estimates)
    factor = _total(lambda s, e: s * e, references, estimates) / energy
    spread = factor[..., None, None]
    return _decibels(factor.square() * energy, _total(lambda s, e: (spread * s - e).square(), references, estimates))


def _total(term: Callable[[Tensor, Tensor], Tensor], references: Tensor, estimates: Tensor) -> Tensor:
    """The sum of a term over samples and channels, in double precision."""
    if references.shape != estimates.shape:
        raise EvaluationError(
            f"references have shape {tuple(references.shape)}, but estimates {tuple(estimates.shape)}"
        )
    total = torch.zeros(references.shape[:-2], dtype=torch.float64, device=references.device)
    parts = (torch.split(signals, _SAMPLES_AT_ONCE, -2) for signals in (references, estimates))
    for true, given in zip(*parts, strict=True):
        total += term(true.to(torch.float64), given.to(torch.float64)).sum((-2, -1))
    return total


def _decibels(wanted: Tensor, unwanted: Tensor) -> Tensor:
    return torch.where(wanted == 0, torch.nan, 10 * torch.log10(wanted / unwanted))
