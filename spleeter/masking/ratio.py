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
    return (powers + EPSILON / len(magnitudes)) / (powers.sum(dim=0) + EPSILON)


def extend_mask(mask: Tensor, n_bins: int, extension: str) -> Tensor:
    """Extend masks (..., F) to all the STFT's bins: (..., n_bins).

    Above the network's F bins, "zeros" lets nothing through, and "average" lets through the mean of the frame's
    mask below.
    """
    missing = (*mask.shape[:-1], n_bins - mask.shape[-1])
    above = mask.new_zeros(()) if extension == "zeros" else mask.mean(dim=-1, keepdim=True)
    return torch.cat([mask, above.expand(missing)], dim=-1)
