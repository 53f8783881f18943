"""The losses: mean absolute differences between estimated and true magnitudes, stem by stem."""

from __future__ import annotations

from torch import Tensor

from spleeter.configuration import LossType

__all__ = ["stem_losses"]


def stem_losses(estimates: Tensor, targets: Tensor, loss_type: LossType) -> Tensor:
    """The loss of each stem; that of a training is their sum.

    Args:
        estimates: magnitudes (stems, batch, channels, T, F).
        targets: the true ones, of the same shape.
        loss_type: `L1_mask`, the mean absolute difference; `weighted_L1_mask`, the same with each segment weighted
            by its true mean magnitude, so that loud segments count for more.

    Returns:
        (stems,)
    """
    differences = (estimates - targets).abs().mean(dim=(2, 3, 4))  # (stems, batch)
    if loss_type == "weighted_L1_mask":
        differences = differences * targets.mean(dim=(2, 3, 4))
    return differences.mean(dim=1)
