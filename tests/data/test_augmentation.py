"""Random transforms of segments: their ranges and probabilities."""

import numpy as np

from spleeter.configuration import Augmentation
from spleeter.data.augmentation import Transform, draw_transform


def test_without_augmentation_the_identity_is_drawn() -> None:
    drawn = draw_transform(Augmentation(), 2, np.random.default_rng(0))
    assert drawn == Transform.identity(2)
    assert drawn.keeps_waveforms


def test_drawn_values_fill_the_configured_ranges() -> None:
    settings = Augmentation(gain_db=6, channel_swap=0.25, pitch_semitones=2, time_stretch=0.1)
    generator = np.random.default_rng(0)
    drawn = [draw_transform(settings, 2, generator) for _ in range(2000)]
    decibels = 20 * np.log10([transform.gains for transform in drawn])
    semitones = 12 * np.log2([transform.pitch for transform in drawn])
    tempos = np.array([transform.tempo for transform in drawn])
    for values, limit in ((decibels, 6), (semitones, 2), (tempos - 1, 0.1)):
        assert -limit <= values.min() < -0.98 * limit
        assert 0.98 * limit < values.max() <= limit
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        np.testing.assert_allclose(quartiles, [-0.5 * limit, 0, 0.5 * limit], atol=0.08 * limit)
    assert abs(np.corrcoef(decibels.T)[0, 1]) < 0.06, "each stem has its own gain"
    assert abs(np.mean([transform.swaps for transform in drawn]) - 0.25) < 0.03


def test_gains_and_swaps_change_waveforms_and_pitch_and_tempo_do_not() -> None:
    assert Transform((1.0, 1.0), (False, False), 1.1, 0.9).keeps_waveforms
    assert not Transform((1.0, 0.5), (False, False), 1.0, 1.0).keeps_waveforms
    assert not Transform((1.0, 1.0), (False, True), 1.0, 1.0).keeps_waveforms
