"""Changes of sounds and magnitudes: what a tone becomes at another pitch and tempo, and what stays as it is."""

import numpy as np
import pytest
import torch

from spleeter.configuration import Augmentation
from spleeter.data.augmentation import Change, draw_change


def change(pitch: float = 1.0, tempo: float = 1.0) -> Change:
    return Change((1.0, 1.0), (False, False), pitch, tempo)


def test_nothing_is_changed_by_default() -> None:
    drawn = draw_change(Augmentation(), 2, np.random.default_rng(0))
    assert drawn == Change.none(2)
    assert drawn.keeps_stems
    magnitudes = torch.rand(2, 10, 20)
    torch.testing.assert_close(drawn.of_magnitudes(magnitudes, 8, 16), magnitudes[:, :8, :16], rtol=0, atol=0)


@pytest.mark.parametrize("pitch", [0.5, 2 ** (-1 / 12), 2 ** (1 / 12), 2.0])
def test_a_tone_is_found_at_its_new_frequency(pitch: float) -> None:
    tone = torch.zeros(1, 4, 1001)
    tone[..., 180:221] = 1 - (torch.arange(-20, 21) / 21).abs()  # around bin 200
    moved = change(pitch=pitch).of_magnitudes(tone, 4, 1000)
    centre = (moved[0, 0] * torch.arange(1000)).sum() / moved[0, 0].sum()
    assert float(centre) == pytest.approx(200 * pitch, abs=0.5)


@pytest.mark.parametrize("tempo", [0.9, 1.1])
def test_an_event_comes_sooner_where_it_is_faster(tempo: float) -> None:
    click = torch.zeros(1, 440, 3)
    click[:, 195:206] = (1 - (torch.arange(-5, 6) / 6).abs())[:, None]
    moved = change(tempo=tempo).of_magnitudes(click, 400, 3)
    assert moved.shape == (1, 400, 3)
    centre = (moved[0, :, 0] * torch.arange(400)).sum() / moved[0, :, 0].sum()
    assert float(centre) == pytest.approx(200 / tempo, abs=0.1)


def test_what_is_not_known_is_silent() -> None:
    lower = change(pitch=0.5).of_magnitudes(torch.ones(1, 4, 101), 4, 100)
    assert lower[..., :51].min() == 1
    assert not lower[..., 51:].any()
    faster = change(tempo=1.5).of_magnitudes(torch.ones(1, 90, 4), 100, 4)
    assert faster[:, :60].min() == pytest.approx(1)
    assert not faster[:, 61:].any()


def test_as_many_bins_are_known_as_are_needed() -> None:
    magnitudes = torch.rand(1, 4, 2000)
    for pitch in (1.0, 0.7, 0.97, 1.03, 1.9):
        few = magnitudes[..., : change(pitch=pitch).n_bins(500)]
        torch.testing.assert_close(
            change(pitch=pitch).of_magnitudes(few, 4, 500), change(pitch=pitch).of_magnitudes(magnitudes, 4, 500)
        )


def test_changing_is_linear_so_stems_still_add_up() -> None:
    first, second = torch.rand(2, 1, 50, 60).unbind(0)
    both = change(1.05, 0.93)
    torch.testing.assert_close(
        both.of_magnitudes(first + second, 40, 50),
        both.of_magnitudes(first, 40, 50) + both.of_magnitudes(second, 40, 50),
    )
