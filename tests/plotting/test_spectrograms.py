"""Spectrograms of a stream: they depend on the samples alone, and show what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from spleeter.plotting import SpectrogramCollector
from spleeter.plotting.rendering import mel
from spleeter.plotting.spectrograms import MAX_COLUMNS, N_BANDS
from tests.plotting.conftest import LOW, RATE, gathered, noise, tone


def band(frequency: float, top: float = 16000) -> int:
    return int(mel(frequency) / mel(top) * N_BANDS)


@pytest.mark.parametrize("block", [1, 7, 1000, 4096, 20_001])
@pytest.mark.parametrize("n_samples", [1, 100, 3 * LOW, 20_001])
def test_blocks_of_any_size_give_the_same_spectrograms(n_samples: int, block: int) -> None:
    mixture, vocals = noise(n_samples), noise(n_samples, 1)
    whole = gathered(mixture, {"vocals": vocals}, LOW, n_samples)
    cut = gathered(mixture, {"vocals": vocals}, LOW, block)
    np.testing.assert_array_equal(cut.mixture, whole.mixture)
    np.testing.assert_array_equal(cut.stems, whole.stems)
    assert cut.column_seconds == whole.column_seconds


@pytest.mark.parametrize("minutes", [1, 5, 30])
def test_blocks_of_any_size_give_the_same_merged_columns(minutes: int) -> None:
    mixture = noise(minutes * 60 * LOW)
    whole = gathered(mixture, {"vocals": mixture}, LOW, len(mixture))
    for block in 1237, 400_000:
        np.testing.assert_array_equal(gathered(mixture, {"vocals": mixture}, LOW, block).mixture, whole.mixture)
    assert MAX_COLUMNS / 2 <= len(whole.mixture) < MAX_COLUMNS
    assert whole.seconds == pytest.approx(minutes * 60, abs=whole.column_seconds)


@pytest.mark.parametrize("frequency", [100, 440, 3000, 12_000])
@pytest.mark.parametrize("begin", [0.5, 20, 70])
def test_a_tone_lies_in_its_band_and_at_its_time(frequency: float, begin: float) -> None:
    mixture = np.zeros((75 * RATE, 2), np.float32)
    first = round(begin * RATE)
    mixture[first : first + RATE] = tone(frequency, RATE)
    result = gathered(mixture, {"a": mixture})
    column, loudest = np.unravel_index(result.mixture.argmax(), result.mixture.shape)
    assert abs(loudest - band(frequency)) <= 1
    times = (np.arange(len(result.mixture)) + 0.5) * result.column_seconds
    is_audible = result.mixture.sum(axis=1) > result.mixture.sum(axis=1).max() / 100
    assert begin - 0.1 < times[is_audible].min() < begin + 0.1
    assert begin + 0.9 < times[is_audible].max() < begin + 1.1
    assert begin < times[column] < begin + 1


def test_a_full_scale_tone_has_a_power_of_one_and_a_half_per_channel() -> None:
    left = tone(440, RATE) * np.array([1, 0], np.float32)
    power = gathered(left, {"a": left}).mixture[5]
    assert power.sum() == pytest.approx(1.5, rel=0.05)
    both = gathered(tone(440, RATE), {"a": left}).mixture[5]
    np.testing.assert_allclose(both, 2 * power, rtol=1e-3, atol=1e-6)


def test_merging_keeps_the_mean_power() -> None:
    """A song in which every frame is the same has the same spectrum, however often its columns were merged."""
    period = noise(128)  # the hop at this rate: every frame has the same samples
    short, long = (gathered(np.tile(period, (n, 1)), {}, LOW) for n in (500, 100_000))
    assert long.column_seconds >= 64 * short.column_seconds
    expected = short.mixture[10]
    np.testing.assert_allclose(long.mixture[1:-1], np.broadcast_to(expected, long.mixture[1:-1].shape), rtol=1e-3)
    np.testing.assert_allclose(long.mixture[-1], expected, rtol=0.2, atol=0.1 * expected.max())


def test_memory_does_not_grow_with_the_song() -> None:
    collector = SpectrogramCollector(LOW, ["a"])
    block = noise(10 * LOW)
    for _ in range(360):
        collector.add(block, {"a": block})
    result = collector.finish()
    assert result.seconds == pytest.approx(3600, abs=result.column_seconds)
    assert result.stems.shape[1] < MAX_COLUMNS


def test_masks_of_disjoint_stems_sum_to_one() -> None:
    low, high = tone(300, 2 * RATE), tone(5000, 2 * RATE)
    result = gathered(low + high, {"low": low, "high": high})
    masks = result.masks()
    is_loud = result.decibels()[0][2:-2] > -40  # far from the tones, and where they are cut off, they overlap
    np.testing.assert_allclose(masks.sum(axis=0)[2:-2][is_loud], 1, atol=0.02)
    assert masks[0, 5, band(300)] > 0.99
    assert masks[1, 5, band(300)] < 0.01
    assert np.isnan(masks[:, 5, band(14_000)]).all()


def test_a_mask_is_at_most_one() -> None:
    masks = gathered(noise(RATE), {"loud": 3 * noise(RATE, 1)}).masks()
    assert np.nanmax(masks) == 1
    assert np.nanmin(masks) >= 0


def test_levels_are_relative_to_the_loudest_bin_of_the_mixture() -> None:
    mixture, half, none = (tone(1000, RATE) * np.float32(gain) for gain in (1, 0.5, 0))
    levels, stems = gathered(mixture, {"half": half, "none": none}).decibels()
    assert levels.max() == 0
    assert stems[0].max() == pytest.approx(-6.02, abs=0.1)
    assert (stems[1] == -80).all()


def test_a_silent_song_has_no_masks() -> None:
    silence = np.zeros((RATE, 2), np.float32)
    result = gathered(silence, {"a": silence})
    assert np.isnan(result.masks()).all()
    assert (result.decibels()[0] == -80).all()


def test_stems_that_were_not_named_are_ignored() -> None:
    collector = SpectrogramCollector(RATE, ["a"])
    collector.add(noise(5000), {"b": noise(5000), "a": noise(5000)})
    assert collector.finish().names == ("a",)
