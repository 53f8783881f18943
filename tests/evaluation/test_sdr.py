"""Ratios without filters: their definitions, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spleeter.errors import EvaluationError
from spleeter.evaluation.sdr import sdr, si_sdr
from spleeter.evaluation.windows import in_frames
from tests.evaluation.conftest import made_up


def signals(n_samples: int = 3000) -> tuple[Tensor, Tensor]:
    references, estimates = made_up(n_samples=n_samples)
    return torch.from_numpy(references), torch.from_numpy(estimates)


def test_sdr_is_its_definition() -> None:
    true, given = (part.numpy() for part in signals(600000))  # more than is summed at once
    expected = 10 * np.log10((true**2).sum((1, 2)) / ((true - given) ** 2).sum((1, 2)))
    np.testing.assert_allclose(sdr(*signals(600000)).numpy(), expected, atol=1e-9)


def test_si_sdr_is_the_sdr_of_the_nearest_scaled_reference() -> None:
    true, given = signals()
    for number, (reference, estimate) in enumerate(zip(true, given, strict=True)):
        gain = np.linalg.lstsq(reference.reshape(-1, 1).numpy(), estimate.flatten().numpy())[0][0]
        torch.testing.assert_close(si_sdr(true, given)[number], sdr(gain * reference, estimate))


def test_volume_concerns_sdr_alone() -> None:
    true, given = signals()
    torch.testing.assert_close(si_sdr(true, given), si_sdr(3 * true, 0.1 * given))
    assert (sdr(true, given) - sdr(true, 3 * given) > 1).all()


def test_frames_are_scored_one_by_one() -> None:
    true, given = signals()
    by_frame = si_sdr(in_frames(true, 1000, 500), in_frames(given, 1000, 500))
    assert by_frame.shape == (3, 5)
    torch.testing.assert_close(by_frame[:, 2], si_sdr(true[:, 1000:2000], given[:, 1000:2000]))


def test_the_extremes() -> None:
    true, given = signals()
    assert torch.isposinf(sdr(true, true)).all()
    assert (si_sdr(true, 2 * true) > 250).all()
    assert torch.isnan(sdr(0 * true, given)).all()
    assert torch.isnan(si_sdr(0 * true, given)).all()
    with pytest.raises(EvaluationError, match="shape"):
        sdr(true, given[:2])


def test_floats_are_summed_in_double_precision() -> None:
    true = torch.full((1, 3_000_000, 1), 0.1)
    error = torch.full_like(true, 1e-4)
    assert sdr(true, true + error).item() == pytest.approx(60, abs=1e-3)
