"""Ratio masks: each stem's share of every time-frequency bin."""

import torch
from torch import Tensor

EPSILON = 1e-10
"""The original's guard against 0 / 0: whole in the denominator, shared out among the stems in the numerator."""


def ratio_masks(magnitudes: Tensor, exponent: float) -> Tensor:
    """Masks that share out the mixture in proportion to the stems' estimated magnitudes.

        mask_i = (v_i^p + ε / n) / (Σ_j v_j^p + ε)

    They sum to 1. A bin where every estimate is zero is shared equally.

    Args:
        magnitudes: (stems, ..., F), not negative.
        exponent: p, the configuration's `separation_exponent`; 2 makes it a Wiener filter per bin.

    Returns:
        Masks (stems, ..., F) in [0, 1].
    """
    powers = magnitudes**exponent
    total = powers.sum(dim=0).add_(EPSILON)
    return powers.add_(EPSILON / len(magnitudes)).div_(total)


def apply_mask(mask: Tensor, spectra: Tensor, extension: str) -> Tensor:
    """Let through of spectra (..., bins) what a mask (..., F) of the lowest F bins says.

    Above them, `extension` "zeros" lets nothing through, and "average" the mean of the frame's mask below.
    """
    F = mask.shape[-1]
    masked = torch.empty_like(spectra)
    torch.mul(spectra[..., :F], mask, out=masked[..., :F])
    if extension == "zeros":
        masked[..., F:] = 0
    else:
        torch.mul(spectra[..., F:], mask.mean(dim=-1, keepdim=True), out=masked[..., F:])
    return masked
