"""Laws of the ratio masks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.dsp.masks import EPSILON, apply_mask, ratio_masks

ToArray = Callable[[np.ndarray], Any]


def magnitudes(stems: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((stems, 2, 4, 8), np.float32)


def spectra(seed: int = 0) -> np.ndarray:
    real, imag = np.random.default_rng(seed).standard_normal((2, 2, 4, 20), np.float32)
    return np.asarray(real + 1j * imag, np.complex64)


@settings(max_examples=30, deadline=None)
@given(stems=st.integers(1, 5), exponent=st.sampled_from([0.5, 1, 2, 3.0]), seed=st.integers(0, 1000))
def test_masks_sum_to_one(stems: int, exponent: float, seed: int) -> None:
    masks = ratio_masks(magnitudes(stems, seed), exponent)
    np.testing.assert_allclose(masks.sum(axis=0), 1, rtol=1e-6)
    assert masks.min() >= 0


def test_masks_follow_the_formula_in_double_precision(array: ToArray) -> None:
    estimates = magnitudes(3) * np.float32(1e-4)
    wide = estimates.astype(np.float64)
    expected = (wide**2 + EPSILON / 3) / ((wide**2).sum(axis=0) + EPSILON)
    np.testing.assert_allclose(np.asarray(ratio_masks(array(estimates), 2.0)), expected, rtol=1e-5)


def test_silence_is_shared_equally(array: ToArray) -> None:
    np.testing.assert_allclose(np.asarray(ratio_masks(array(np.zeros((4, 1, 1, 2), np.float32)), 2)), 0.25)


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_the_band_below_f_is_masked_bin_by_bin(array: ToArray, extension: str) -> None:
    (mask,) = magnitudes(1)
    masked = np.asarray(apply_mask(array(mask), array(spectra()), extension))
    assert masked.dtype == np.complex64
    np.testing.assert_allclose(masked[..., :8], mask * spectra()[..., :8], rtol=1e-6)


def test_zeros_leave_out_the_band_above_f(array: ToArray) -> None:
    (mask,) = magnitudes(1)
    assert apply_mask(array(mask), array(spectra()), "zeros").shape == (2, 4, 8)


def test_average_masks_the_band_above_f_by_the_mean_of_the_frame(array: ToArray) -> None:
    (mask,) = magnitudes(1)
    above = np.asarray(apply_mask(array(mask), array(spectra()), "average"))[..., 8:]
    np.testing.assert_allclose(above, mask.mean(axis=-1, keepdims=True) * spectra()[..., 8:], rtol=1e-5)


def test_stems_by_average_masks_sum_to_the_mixture(array: ToArray) -> None:
    stems = apply_mask(ratio_masks(array(magnitudes(4)), 1), array(spectra()), "average")
    np.testing.assert_allclose(np.asarray(stems).sum(axis=0), spectra(), rtol=1e-5, atol=1e-6)


def test_inputs_are_not_changed(array: ToArray) -> None:
    estimates, mixture = array(magnitudes(2)), array(spectra())
    apply_mask(ratio_masks(estimates, 2), mixture, "average")
    assert np.array_equal(np.asarray(estimates), magnitudes(2))
    assert np.array_equal(np.asarray(mixture), spectra())
