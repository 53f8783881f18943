"""The losses, against their formulas in NumPy."""

import numpy as np
import pytest
import torch

from spleeter.training.losses import stem_losses

GENERATOR = np.random.default_rng(0)
ESTIMATES, TARGETS = GENERATOR.random((2, 3, 4, 2, 5, 6)).astype(np.float32)


def losses(kind: str) -> np.ndarray:
    return stem_losses(torch.from_numpy(ESTIMATES), torch.from_numpy(TARGETS), kind).numpy()  # type: ignore[arg-type]


def test_l1_is_the_mean_absolute_difference() -> None:
    expected = [np.mean(np.abs(estimate - target)) for estimate, target in zip(ESTIMATES, TARGETS, strict=True)]
    np.testing.assert_allclose(losses("L1_mask"), expected, rtol=1e-6)


def test_weighted_l1_weights_segments_by_their_true_mean_magnitude() -> None:
    expected = [
        np.mean(target.mean(axis=(1, 2, 3), keepdims=True) * np.abs(estimate - target))
        for estimate, target in zip(ESTIMATES, TARGETS, strict=True)
    ]
    np.testing.assert_allclose(losses("weighted_L1_mask"), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["L1_mask", "weighted_L1_mask"])
def test_the_loss_of_the_true_stems_is_zero(kind: str) -> None:
    targets = torch.from_numpy(TARGETS)
    assert not stem_losses(targets, targets, kind).any()  # type: ignore[arg-type]
