"""SDR and SI-SDR: their definitions, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spleeter.errors import EvaluationError
from spleeter.evaluation.sdr import sdr, si_sdr
from spleeter.evaluation.windows import in_frames
from tests.evaluation.conftest import synthetic


def signals(n_samples: int = 3000) -> tuple[Tensor, Tensor]:
    references, estimates = synthetic(n_samples=n_samples)
    return torch.from_numpy(references), torch.from_numpy(estimates)


def test_sdr_is_its_definition() -> None:
    references, estimates = (tensor.numpy() for tensor in signals(600000))  # more than one block
    expected = 10 * np.log10((references**2).sum((1, 2)) / ((references - estimates) ** 2).sum((1, 2)))
    np.testing.assert_allclose(sdr(*signals(600000)).numpy(), expected, atol=1e-9)


def test_si_sdr_is_the_sdr_of_the_closest_scaled_reference() -> None:
    references, estimates = signals()
    for index, (reference, estimate) in enumerate(zip(references, estimates, strict=True)):
        gain = np.linalg.lstsq(reference.reshape(-1, 1).numpy(), estimate.flatten().numpy())[0][0]
        torch.testing.assert_close(si_sdr(references, estimates)[index], sdr(gain * reference, estimate))


def test_gain_changes_sdr_but_not_si_sdr() -> None:
    references, estimates = signals()
    torch.testing.assert_close(si_sdr(references, estimates), si_sdr(3 * references, 0.1 * estimates))
    assert (sdr(references, estimates) - sdr(references, 3 * estimates) > 1).all()


def test_frames_are_scored_one_by_one() -> None:
    references, estimates = signals()
    by_frame = si_sdr(in_frames(references, 1000, 500), in_frames(estimates, 1000, 500))
    assert by_frame.shape == (3, 5)
    torch.testing.assert_close(by_frame[:, 2], si_sdr(references[:, 1000:2000], estimates[:, 1000:2000]))


def test_perfect_estimates_and_silent_references() -> None:
    references, estimates = signals()
    assert torch.isposinf(sdr(references, references)).all()
    assert (si_sdr(references, 2 * references) > 250).all()
    assert torch.isnan(sdr(0 * references, estimates)).all()
    assert torch.isnan(si_sdr(0 * references, estimates)).all()
    with pytest.raises(EvaluationError, match="shape"):
        sdr(references, estimates[:2])


def test_floats_are_summed_in_double_precision() -> None:
    references = torch.full((1, 3_000_000, 1), 0.1)
    error = torch.full_like(references, 1e-4)
    assert sdr(references, references + error).item() == pytest.approx(60, abs=1e-3)
