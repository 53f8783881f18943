"""Correlations, the Gram matrix and its solution, each against a direct computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spleeter.evaluation.filters import distortion_filters, gram_matrix, lagged_products, solve
from tests.evaluation.conftest import synthetic


@pytest.mark.parametrize("n_samples", [3, 40, 5000, 30000])
def test_lagged_products_are_sums(n_samples: int) -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, n_samples)), generator.standard_normal((3, n_samples))
    products = lagged_products(torch.from_numpy(first), torch.from_numpy(second), 20).numpy()
    for lag in range(20):
        later = np.zeros_like(second)
        later[:, : max(0, n_samples - lag)] = second[:, lag:]
        np.testing.assert_allclose(products[:, :, lag], first @ later.T, atol=1e-9)


def test_the_gram_matrix_has_the_products_of_delayed_signals() -> None:
    signals = torch.randn((3, 50), dtype=torch.float64)
    delayed = torch.stack([torch.nn.functional.pad(signals, (delay, 8 - delay)) for delay in range(8)], 1)
    expected = delayed.flatten(0, 1) @ delayed.flatten(0, 1).T
    torch.testing.assert_close(gram_matrix(lagged_products(signals, signals, 8)), expected)


def test_the_filters_of_filtered_references_are_recovered() -> None:
    references = torch.from_numpy(synthetic(2, 4000)[0])
    references[:, -10:] = 0  # so that the filtered signals are complete
    estimates = 0.5 * references.roll(3, 1) + 0.25 * references.flip(0).roll(7, 1)
    own, joint = distortion_filters(references, estimates, 16)
    expected = torch.zeros((4, 16, 4), dtype=torch.float64)
    for channel in range(4):
        expected[channel, 3, channel] = 0.5
        expected[channel, 7, (channel + 2) % 4] = 0.25
    torch.testing.assert_close(joint, expected, atol=1e-9, rtol=0)
    assert not own[:2, :, 2:].any()
    assert not own[2:, :, :2].any()


def test_a_singular_matrix_is_solved() -> None:
    half = torch.randn((30, 20), dtype=torch.float64)
    columns = torch.cat([half, half], 1)  # every signal twice
    target = half @ torch.randn((20, 2), dtype=torch.float64)
    filters = solve(columns.T @ columns, columns.T @ target)
    torch.testing.assert_close(columns @ filters, target, atol=1e-8, rtol=0)
