"""Laws of the ratio masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spleeter.dsp.masks import EPSILON, apply_mask, ratio_masks


def magnitudes(stems: int, seed: int = 0) -> Tensor:
    return torch.rand((stems, 1, 2, 4, 8), generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(stems=st.integers(1, 5), exponent=st.sampled_from([0.5, 1, 2, 3.0]), seed=st.integers(0, 1000))
def test_masks_share_out_the_whole(stems: int, exponent: float, seed: int) -> None:
    masks = ratio_masks(magnitudes(stems, seed), exponent)
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(1, 2, 4, 8))
    assert masks.min() >= 0


def test_masks_follow_the_formula_in_double_precision() -> None:
    estimates = magnitudes(3) * 1e-4
    wide = estimates.double().numpy()
    expected = (wide**2 + EPSILON / 3) / ((wide**2).sum(axis=0) + EPSILON)
    torch.testing.assert_close(ratio_masks(estimates, 2), torch.from_numpy(expected).float(), rtol=1e-5, atol=0)


def test_silence_is_shared_equally() -> None:
    torch.testing.assert_close(ratio_masks(torch.zeros(4, 1, 1, 1, 2), 2), torch.full((4, 1, 1, 1, 2), 0.25))


def test_inputs_are_not_changed() -> None:
    estimates = magnitudes(2)
    before = estimates.clone()
    ratio_masks(estimates, 2)
    assert torch.equal(estimates, before)


def spectra(seed: int = 0) -> Tensor:
    return torch.randn((1, 2, 4, 20), dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_the_band_below_is_masked_bin_by_bin(extension: str) -> None:
    mask = magnitudes(1)[0]
    masked = apply_mask(mask, spectra(), extension)
    torch.testing.assert_close(masked[..., :8], mask * spectra()[..., :8])


def test_zeros_let_nothing_through_above() -> None:
    assert not apply_mask(magnitudes(1)[0], spectra(), "zeros")[..., 8:].any()


def test_average_lets_the_mean_of_the_frame_through_above() -> None:
    mask = magnitudes(1)[0]
    above = apply_mask(mask, spectra(), "average")[..., 8:]
    torch.testing.assert_close(above, mask.mean(dim=-1, keepdim=True) * spectra()[..., 8:])


def test_average_masks_share_out_the_whole_spectrum() -> None:
    stems = [apply_mask(mask, spectra(), "average") for mask in ratio_masks(magnitudes(4), 1)]
    torch.testing.assert_close(torch.stack(stems).sum(dim=0), spectra())


def test_spectra_in_any_layout_keep_it() -> None:
    segments = spectra().transpose(1, 2)
    masked = apply_mask(magnitudes(1)[0].transpose(1, 2), segments, "average")
    assert masked.stride() == segments.stride()
    torch.testing.assert_close(masked.transpose(1, 2), apply_mask(magnitudes(1)[0], spectra(), "average"))
