"""Ratio masks: each stem's share of every time-frequency bin, and their extension above the network's band."""

from __future__ import annotations

from spleeter.dsp.namespace import array_namespace
from spleeter.types import Array

__all__ = ["EPSILON", "apply_mask", "ratio_masks"]

EPSILON = 1e-10
"""The original's guard against 0 / 0: whole in the denominator, divided among the stems in the numerator."""


def ratio_masks(magnitudes: Array, exponent: float) -> Array:
    """Masks that divide the mixture in proportion to the stems' estimated magnitudes.

        mask_i = (v_i^p + ε / n) / (Σ_j v_j^p + ε)

    They sum to 1. A bin where every estimate is zero is shared equally.

    Args:
        magnitudes: (stems, ..., F), not negative.
        exponent: p, the configuration's `separation_exponent`; 2 makes it the single-channel Wiener gain.

    Returns:
        Masks (stems, ..., F) in [0, 1].
    """
    xp = array_namespace(magnitudes)
    powers = magnitudes**exponent
    total = xp.sum(powers, axis=0)
    total += EPSILON
    powers += EPSILON / magnitudes.shape[0]
    powers /= total
    return powers


def apply_mask(mask: Array, spectra: Array, extension: str) -> Array:
    """Multiply spectra by a mask of their lowest F bins.

    Args:
        mask: (..., F), real.
        spectra: (..., bins), complex.
        extension: the mask of the bins above F: "zeros", or "average", the mean of the frame's mask below.

    Returns:
        (..., bins), complex; with "zeros" the bins above F, which are zero, are left out: (..., F).
    """
    xp = array_namespace(spectra)
    F = mask.shape[-1]
    if extension == "zeros":
        return spectra[..., :F] * mask
    above = xp.broadcast_to(xp.mean(mask, axis=-1, keepdims=True), (*mask.shape[:-1], spectra.shape[-1] - F))
    return spectra * xp.concat([mask, above], axis=-1)
