"""Magnitudes of a batch: those of SciPy's FFT, and what a tone becomes at another pitch and tempo."""

import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor

from spleeter.data.batches import SegmentSampler, training_batches
from spleeter.training.features import change_pitch_and_tempo, features, n_source_bins
from tests.data.songs import configuration, in_memory

CPU = torch.device("cpu")


def changed(magnitudes: Tensor, T: int, F: int, pitch: float = 1.0, tempo: float = 1.0) -> Tensor:
    return change_pitch_and_tempo(magnitudes, T, F, pitch, tempo)


def test_features_are_the_magnitudes_of_the_frames() -> None:
    settings = configuration()
    (batch,) = training_batches(SegmentSampler(in_memory(), settings), [0], 2)
    mixtures, targets = features(batch, settings, CPU)
    assert (mixtures.shape, targets.shape) == ((2, 2, 64, 128), (2, 2, 2, 64, 128))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    for signal, found in ((batch.mixtures, mixtures), (batch.stems[1], targets[1])):
        frames = np.lib.stride_tricks.sliding_window_view(signal, 256, axis=-1)[:, :, ::64]
        expected = np.abs(scipy.fft.rfft(frames * window))[..., :128]
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_features_of_augmented_segments_have_the_same_shape() -> None:
    settings = configuration(augmentation={"pitch_semitones": 2, "time_stretch": 0.3})
    (batch,) = training_batches(SegmentSampler(in_memory(), settings), [0], 4)
    mixtures, targets = features(batch, settings, CPU)
    assert (mixtures.shape, targets.shape) == ((4, 2, 64, 128), (2, 4, 2, 64, 128))
    assert mixtures.isfinite().all()


def test_the_same_pitch_and_tempo_change_nothing() -> None:
    magnitudes = torch.rand(2, 10, 20)
    torch.testing.assert_close(changed(magnitudes, 8, 16), magnitudes[:, :8, :16], rtol=0, atol=0)


@pytest.mark.parametrize("pitch", [0.5, 2 ** (-1 / 12), 2 ** (1 / 12), 2.0])
def test_a_tone_moves_to_its_new_frequency(pitch: float) -> None:
    tone = torch.zeros(1, 4, 1001)
    tone[..., 180:221] = 1 - (torch.arange(-20, 21) / 21).abs()  # around bin 200
    moved = changed(tone, 4, 1000, pitch=pitch)
    centre = (moved[0, 0] * torch.arange(1000)).sum() / moved[0, 0].sum()
    assert float(centre) == pytest.approx(200 * pitch, abs=0.5)


@pytest.mark.parametrize("tempo", [0.9, 1.1])
def test_a_click_comes_sooner_at_a_faster_tempo(tempo: float) -> None:
    click = torch.zeros(1, 440, 3)
    click[:, 195:206] = (1 - (torch.arange(-5, 6) / 6).abs())[:, None]
    moved = changed(click, 400, 3, tempo=tempo)
    assert moved.shape == (1, 400, 3)
    centre = (moved[0, :, 0] * torch.arange(400)).sum() / moved[0, :, 0].sum()
    assert float(centre) == pytest.approx(200 / tempo, abs=0.1)


def test_magnitudes_beyond_the_last_frame_and_bin_are_zero() -> None:
    lower = changed(torch.ones(1, 4, 101), 4, 100, pitch=0.5)
    assert lower[..., :51].min() == 1
    assert not lower[..., 51:].any()
    faster = changed(torch.ones(1, 90, 4), 100, 4, tempo=1.5)
    assert faster[:, :60].min() == pytest.approx(1)
    assert not faster[:, 61:].any()


@pytest.mark.parametrize("pitch", [1.0, 0.7, 0.97, 1.03, 1.9])
def test_further_source_bins_change_nothing(pitch: float) -> None:
    magnitudes = torch.rand(1, 4, 2000)
    few = magnitudes[..., : n_source_bins(500, pitch)]
    torch.testing.assert_close(changed(few, 4, 500, pitch), changed(magnitudes, 4, 500, pitch))


def test_interpolation_is_linear_so_stems_still_add_up() -> None:
    first, second = torch.rand(2, 1, 50, 60).unbind(0)
    torch.testing.assert_close(
        changed(first + second, 40, 50, 1.05, 0.93),
        changed(first, 40, 50, 1.05, 0.93) + changed(second, 40, 50, 1.05, 0.93),
    )
