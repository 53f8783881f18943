"""Laws of the STFT pair, and SciPy as the oracle."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.dsp.stft import chunk_length, inverse_stft, magnitudes, n_frames, stft

ToArray = Callable[[np.ndarray], Any]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def spectra_of_noise(n_frames: int, bins: int, seed: int = 0) -> np.ndarray:
    return (noise(2, n_frames, bins, seed=seed) + 1j * noise(2, n_frames, bins, seed=seed + 1)).astype(np.complex64)


@pytest.mark.parametrize(("frame_length", "frame_step"), [(4096, 1024), (512, 128), (256, 32), (1024, 128)])
def test_spectra_equal_scipys(array: ToArray, frame_length: int, frame_step: int) -> None:
    waveform = noise(2, chunk_length(7, frame_length, frame_step))
    window = scipy.signal.get_window("hann", frame_length)  # periodic by default
    frames = np.lib.stride_tricks.sliding_window_view(waveform, frame_length, axis=-1)[:, ::frame_step]
    expected = scipy.fft.rfft(frames.astype(np.float64) * window)
    got = np.asarray(stft(array(waveform), frame_length, frame_step))
    assert got.dtype == np.complex64
    assert got.shape == expected.shape == (2, 7, frame_length // 2 + 1)
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_magnitudes_are_absolute_values(array: ToArray) -> None:
    spectra = spectra_of_noise(3, 9)
    np.testing.assert_allclose(np.asarray(magnitudes(array(spectra))), np.abs(spectra), rtol=1e-6)


@pytest.mark.parametrize(("frame_length", "frame_step"), [(4096, 1024), (512, 128), (256, 32), (768, 256)])
def test_inverse_reconstructs_where_all_frames_overlap(array: ToArray, frame_length: int, frame_step: int) -> None:
    waveform = noise(2, chunk_length(12, frame_length, frame_step))
    samples = np.asarray(inverse_stft(stft(array(waveform), frame_length, frame_step), frame_length, frame_step))
    assert samples.dtype == np.float32
    assert samples.shape == waveform.shape
    inner = slice(frame_length - frame_step, 12 * frame_step)
    np.testing.assert_allclose(samples[:, inner], waveform[:, inner], rtol=0, atol=1e-5)


def test_bins_that_are_left_out_are_zero(array: ToArray) -> None:
    spectra = spectra_of_noise(5, 33)
    spectra[..., 20:] = 0
    short, full = (np.asarray(inverse_stft(array(given.copy()), 64, 16)) for given in (spectra[..., :20], spectra))
    assert np.array_equal(short, full)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_overlap_added_blocks_of_frames_equal_the_whole(sizes: list[int], seed: int) -> None:
    edges = np.cumsum([0, *sizes])
    spectra = spectra_of_noise(int(edges[-1]), 33, seed)
    total = np.zeros((2, chunk_length(spectra.shape[1], 64, 16)), np.float32)
    for start, stop in pairwise(edges):
        block = inverse_stft(spectra[:, start:stop], 64, 16)
        total[:, 16 * start : 16 * start + block.shape[-1]] += block
    np.testing.assert_allclose(total, inverse_stft(spectra, 64, 16), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_samples", [0, 1, 15, 16, 17, 64, 1000])
def test_last_frame_is_the_last_that_touches_the_waveform(n_samples: int) -> None:
    count = n_frames(n_samples, 64, 16)
    assert (count - 1) * 16 < n_samples + 64 <= count * 16


def test_inputs_are_not_changed(array: ToArray) -> None:
    waveform, spectra = noise(2, 256), spectra_of_noise(13, 33)
    given_waveform, given_spectra = array(waveform.copy()), array(spectra.copy())
    stft(given_waveform, 64, 16)
    inverse_stft(given_spectra, 64, 16)
    assert np.array_equal(np.asarray(given_waveform), waveform)
    assert np.array_equal(np.asarray(given_spectra), spectra)
