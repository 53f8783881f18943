"""The multichannel Wiener filter against norbert, the reference implementation."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import norbert
import numpy as np
import pytest

from spleeter.dsp.wiener import second_moments, soft_masks, spatial_model, wiener_filter

ToArray = Callable[[np.ndarray], Any]


def problem(stems: int, channels: int, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes (stems, channels, frames, bins) and a mixture's STFT (channels, frames, bins)."""
    generator = np.random.default_rng(stems + channels)
    real, imag = gain * generator.standard_normal((2, stems, channels, 30, 300), np.float32)
    sources = (real + 1j * imag).astype(np.complex64)
    return np.abs(sources) * generator.random(sources.shape, np.float32), sources.sum(axis=0)


def by_norbert(magnitudes: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """norbert's filter of one iteration; it changes what it is given."""
    wide = magnitudes.transpose(2, 3, 1, 0).copy(), mixture.transpose(1, 2, 0).copy()
    stems: np.ndarray = norbert.wiener(*wide, iterations=1).transpose(3, 2, 0, 1)
    return stems


def snr(expected: np.ndarray, got: np.ndarray) -> float:
    noise = np.mean(np.abs(got - expected) ** 2)
    return float(10 * np.log10(np.mean(np.abs(expected) ** 2) / noise))


def filtered(
    masks: np.ndarray,
    mixture: np.ndarray,
    n_stems: int | None = None,
    sizes: tuple[int, ...] = (30,),
    as_norbert: bool = True,
    array: ToArray = np.asarray,
) -> np.ndarray:
    """Filter an excerpt, in blocks of so many frames, as arrays of some kind."""
    edges = [int(edge) for edge in np.cumsum([0, *sizes])]
    blocks = [(array(masks[:, :, a:b].copy()), array(mixture[:, a:b].copy())) for a, b in pairwise(edges)]
    model = spatial_model([second_moments(*block) for block in blocks], as_norbert)
    stems = [np.asarray(wiener_filter(*block, model, n_stems or len(masks))) for block in blocks]
    return np.concatenate(stems, axis=2)


@pytest.mark.parametrize(("stems", "channels"), [(2, 2), (4, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("gain", [0.1, 1.0, 100.0])
def test_equals_norbert(array: ToArray, stems: int, channels: int, gain: float) -> None:
    magnitudes, mixture = problem(stems, channels, gain)
    got = filtered(soft_masks(magnitudes), mixture, array=array)
    assert got.dtype == np.complex64
    assert snr(by_norbert(magnitudes, mixture), got) > 80


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_blocks_are_filtered_as_the_whole(channels: int) -> None:
    magnitudes, mixture = problem(2, channels)
    masks = soft_masks(magnitudes)
    whole = filtered(masks, mixture)
    np.testing.assert_allclose(filtered(masks, mixture, sizes=(1, 12, 17)), whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [2, 3])
def test_fewer_stems_are_the_first_ones(channels: int) -> None:
    magnitudes, mixture = problem(4, channels)
    masks = soft_masks(magnitudes)
    assert np.array_equal(filtered(masks, mixture, n_stems=2), filtered(masks, mixture)[:2])


@pytest.mark.parametrize("as_norbert", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_silence_stays_silent(array: ToArray, channels: int, as_norbert: bool) -> None:
    masks = soft_masks(np.zeros((2, channels, 30, 5), np.float32))
    silence = np.zeros((channels, 30, 5), np.complex64)
    assert not filtered(masks, silence, as_norbert=as_norbert, array=array).any()


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("gain", [1e-3, 1.0, 1e3])
def test_soft_bins_are_kept(channels: int, gain: float) -> None:
    """But for the regularization, a thousandth of each bin, stems sum to the mixture; norbert's do not."""
    magnitudes, mixture = problem(3, channels, gain)
    magnitudes[..., 1:] *= 1e-4
    mixture[..., 1:] *= 1e-4
    soft = soft_masks(magnitudes / gain * 1e4)  # the masks of the networks have an epsilon of their own
    stems = filtered(soft.astype(np.float32), mixture, as_norbert=False)
    assert snr(mixture[..., 1:], stems[..., 1:].sum(axis=0)) > 45
    if gain == 1.0:
        assert snr(mixture[..., 1:], filtered(soft, mixture).sum(axis=0)[..., 1:]) < 20


@pytest.mark.parametrize("difference", [0.0, 1e-6, 1e-3, 1.0])
def test_nearly_equal_channels_are_filtered_as_in_double_precision(difference: float) -> None:
    """Two equal channels make singular matrices."""
    magnitudes, mixture = problem(2, 2)
    mixture[1] = mixture[0] + difference * mixture[1]
    masks = soft_masks(magnitudes)
    wide = filtered(masks.astype(np.float64), mixture.astype(np.complex128), as_norbert=False)
    assert snr(wide, filtered(masks, mixture, as_norbert=False)) > 70


def test_inputs_are_not_changed() -> None:
    magnitudes, mixture = problem(2, 2)
    masks = soft_masks(magnitudes)
    before = masks.copy(), mixture.copy()
    wiener_filter(masks, mixture, spatial_model([second_moments(masks, mixture)], as_norbert=True), 2)
    assert np.array_equal(masks, before[0])
    assert np.array_equal(mixture, before[1])
