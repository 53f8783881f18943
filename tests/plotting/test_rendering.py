"""Power, decibels and colours, against matplotlib's colour maps and plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spleeter.plotting import linear_power, spectrogram_image
from spleeter.plotting.rendering import LEVELS, MAX_ROWS, SHARES, ColourScale, decibels, hertz, mel


@pytest.mark.parametrize(("scale", "name"), [(LEVELS, "magma"), (SHARES, "viridis")])
def test_colours_are_those_of_matplotlib(scale: ColourScale, name: str) -> None:
    expected = pytest.importorskip("matplotlib").colormaps[name](np.arange(256), bytes=True)[:, :3]
    np.testing.assert_allclose(scale.shades().astype(int), expected, rtol=0, atol=2)
    values = np.linspace(scale.low, scale.high, 256)
    np.testing.assert_array_equal(scale.colours(values), scale.shades())


def test_values_beyond_the_ends_have_the_colours_of_the_ends() -> None:
    np.testing.assert_array_equal(SHARES.colours(np.array([-1.0, 2.0])), SHARES.colours(np.array([0.0, 1.0])))


def test_mel_is_near_hertz_below_a_thousand_and_is_inverted() -> None:
    assert float(mel(1000)) == pytest.approx(1000, abs=0.1)  # how the scale is defined
    frequencies = np.linspace(0, 20_000, 50)
    np.testing.assert_allclose(hertz(mel(frequencies)), frequencies, atol=1e-8)


def test_decibels_are_relative_and_end_at_silence() -> None:
    levels = decibels(np.array([4.0, 0.4, 4e-8, 4e-9, 0.0]), 4.0)
    np.testing.assert_allclose(levels, [0, -10, -80, -80, -80], atol=1e-9)
    np.testing.assert_array_equal(decibels(np.zeros(3, np.float32), 0.0), np.full(3, -80, np.float32))


def test_an_image_has_time_to_the_right_and_frequency_upwards() -> None:
    magnitudes = np.zeros((2, 30, 20), np.float32)
    magnitudes[:, 25, 3] = 1.0
    magnitudes[:, 2, 3] = 1e-3
    brightness = spectrogram_image(linear_power(magnitudes), 1.0).astype(float).mean(axis=-1)  # (rows, T)
    assert brightness.shape == (20, 30)
    assert np.unravel_index(brightness.argmax(), brightness.shape) == (20 - 1 - 3, 25)
    assert brightness[16, 25] > brightness[16, 2] > brightness[0, 0]


@pytest.mark.parametrize("n_bins", [1, MAX_ROWS, MAX_ROWS + 1, 2049])
def test_many_bins_are_averaged_to_few_rows_and_keep_their_mean_power(n_bins: int) -> None:
    magnitudes = np.random.default_rng(0).random((2, 4, n_bins))
    power = linear_power(magnitudes)
    group = math.ceil(n_bins / MAX_ROWS)
    assert power.shape == (4, math.ceil(n_bins / group))
    whole = (magnitudes**2).mean(axis=0)[:, : n_bins // group * group].reshape(4, -1, group)
    np.testing.assert_allclose(power[:, : whole.shape[1]], whole.mean(axis=-1))


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 3e38])
def test_any_magnitude_can_be_drawn(value: float) -> None:
    power = linear_power(np.full((2, 5, 6), value, np.float32))
    image = spectrogram_image(power, float(power.max()))
    assert image.shape == (6, 5, 3)
    expected = LEVELS.shades()[0 if value == 0 or math.isnan(value) else -1]
    np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
