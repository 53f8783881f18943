"""Laws of the arithmetic on waveforms."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from spleeter.audio.convertor import (
    StreamResampler,
    is_finite,
    mix_channels,
    n_resampled,
    to_float,
    to_integers,
    to_n_channels,
    to_stereo,
)
from spleeter.types import Waveform

RATES = [8000, 11025, 16000, 22050, 44100, 44101, 48000, 88200, 96000, 192000]


def noise(n_samples: int, n_channels: int, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).standard_normal((n_samples, n_channels)).astype(np.float32)


@pytest.mark.parametrize("have", [1, 2, 3, 6])
@pytest.mark.parametrize("want", [1, 2, 3, 6])
def test_channels_are_cut_or_repeated_in_turn(have: int, want: int) -> None:
    waveform = noise(10, have)
    converted = to_n_channels(waveform, want)
    for channel in range(want):
        np.testing.assert_array_equal(converted[:, channel], waveform[:, channel % have])


def test_stereo_copies_mono_and_cuts_more() -> None:
    mono, many = noise(5, 1), noise(5, 5)
    np.testing.assert_array_equal(to_stereo(mono), np.repeat(mono, 2, axis=1))
    np.testing.assert_array_equal(to_stereo(many), many[:, :2])


def test_mixing_is_the_product_with_the_matrix_whatever_the_blocks() -> None:
    waveform, matrix = noise(1000, 6), noise(2, 6, seed=1)
    mixed = mix_channels(waveform, matrix)
    np.testing.assert_allclose(mixed, waveform.astype(np.float64) @ matrix.T, atol=1e-5)
    pieces = [mix_channels(piece, matrix) for piece in np.split(waveform, [1, 7, 500])]
    np.testing.assert_array_equal(np.concatenate(pieces), mixed)


@pytest.mark.parametrize("bits", [16, 24])
def test_integers_come_back_as_themselves(bits: int) -> None:
    full_scale = 2 ** (bits - 1)
    integers = np.random.default_rng(0).integers(-full_scale, full_scale, (5000, 2), dtype=np.int32)
    integers[:2] = -full_scale, full_scale - 1
    waveform = (integers / full_scale).astype(np.float32)
    np.testing.assert_array_equal(to_integers(waveform, bits), integers)


def test_rounding_is_to_the_nearest_even_and_clamped() -> None:
    lsb = np.float32(1 / 32768)
    waveform = np.array([[0.5 * lsb, 1.5 * lsb, -2.4 * lsb, 1.0, -1.0, 7.0, -7.0]], np.float32)
    assert to_integers(waveform, 16).tolist() == [[0, 2, -2, 32767, -32768, 32767, -32768]]


@pytest.mark.parametrize(
    ("dtype", "zero", "full_scale"),
    [(np.uint8, 128, 128), (np.int16, 0, 2**15), (np.int32, 0, 2**31), (np.float64, 0, 1), (np.float32, 0, 1)],
)
def test_every_sample_type_is_scaled_to_one(dtype: type, zero: int, full_scale: int) -> None:
    samples: np.ndarray = (zero + full_scale * np.array([[-1.0, -0.5], [0.0, 0.25]])).astype(dtype)
    waveform = to_float(samples.T)
    assert waveform.dtype == np.float32
    assert waveform.flags.c_contiguous
    assert waveform.T.tolist() == [[-1.0, -0.5], [0.0, 0.25]]


def test_finiteness_is_decided_even_when_the_sum_overflows() -> None:
    assert is_finite(np.full((10, 2), 3e38, np.float32))
    assert is_finite(np.zeros((0, 2), np.float32))
    for bad in (np.nan, np.inf, -np.inf):
        waveform = noise(100, 2)
        waveform[50, 1] = bad
        assert not is_finite(waveform)
    assert not is_finite(np.array([[np.inf], [-np.inf]], np.float32))


@settings(deadline=None, max_examples=60)
@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    cuts=st.lists(st.integers(0, 9000), max_size=5),
    n_samples=st.integers(0, 9000),
    n_channels=st.integers(1, 3),
)
def test_resampled_blocks_are_the_whole_resampled(
    rates: tuple[int, int], cuts: list[int], n_samples: int, n_channels: int
) -> None:
    waveform = noise(n_samples, n_channels)
    blocks = np.split(waveform, sorted(min(cut, n_samples) for cut in cuts))

    def resample(pieces: list[Waveform]) -> Waveform:
        resampler = StreamResampler(*rates, n_channels)
        return np.concatenate([*(resampler.push(piece) for piece in pieces), resampler.finish()])

    whole = resample([waveform])
    assert whole.dtype == np.float32
    assert whole.shape == (n_resampled(n_samples, *rates), n_channels)
    np.testing.assert_array_equal(resample(blocks), whole)


@given(st.integers(0, 10**9), st.sampled_from(RATES), st.sampled_from(RATES))
def test_length_is_within_half_a_sample(n_samples: int, from_rate: int, to_rate: int) -> None:
    assert abs(n_resampled(n_samples, from_rate, to_rate) * from_rate - n_samples * to_rate) * 2 <= from_rate


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 48000), (48000, 44100), (44100, 16000), (8000, 44100)])
def test_a_sine_stays_the_same_sine(from_rate: int, to_rate: int) -> None:
    def sine(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 997 * np.arange(rate)[:, None] / rate)

    resampler = StreamResampler(from_rate, to_rate, 1)
    resampled = np.concatenate([resampler.push(sine(from_rate).astype(np.float32)), resampler.finish()])
    middle = slice(to_rate // 4, -to_rate // 4)
    error = resampled[middle] - sine(to_rate)[middle]
    assert 10 * np.log10(0.5 / np.mean(error**2)) > 140


def test_resampling_agrees_with_scipy_below_the_edge_of_the_band() -> None:
    low = signal.sosfiltfilt(signal.butter(8, 6000, fs=48000, output="sos"), noise(48000, 1)[:, 0])
    resampler = StreamResampler(48000, 32000, 1)
    ours = np.concatenate([resampler.push(low[:, None].astype(np.float32)), resampler.finish()])[:, 0]
    theirs = signal.resample(low, 32000)  # exact for a band-limited, periodic signal
    np.testing.assert_allclose(ours[4000:-4000], theirs[4000:-4000], atol=2e-5)


def test_equal_rates_pass_through() -> None:
    waveform = noise(100, 2)
    resampler = StreamResampler(44100, 44100, 2)
    assert resampler.push(waveform) is waveform
    assert resampler.finish().shape == (0, 2)


def test_importing_the_module_does_not_import_soxr() -> None:
    code = "import sys, spleeter.audio.convertor; sys.exit('soxr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
