"""Spectrograms gathered from a stream, and the picture that is drawn of them."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleeter.errors import EncodeError, OutputError
from spleeter.plotting import SpectrogramCollector, Spectrograms, draw_to_file, require_matplotlib
from spleeter.plotting.drawing import _time_ticks
from spleeter.plotting.lettering import drawable
from spleeter.plotting.spectrograms import MOST_COLUMNS, N_BANDS, mel
from spleeter.types import Waveform

RATE = 44100
LOW = 4000
"""A sample rate at which a song of minutes is quickly gone through."""


def tone(frequency: float, n_samples: int, rate: int = RATE) -> Waveform:
    """A sine at full scale in both channels: float32 (samples, 2)."""
    sine = np.sin(2 * np.pi * frequency / rate * np.arange(n_samples)).astype(np.float32)
    return np.stack([sine, sine], axis=1)


def noise(n_samples: int, seed: int = 0) -> Waveform:
    waveform: Waveform = np.random.default_rng(seed).normal(0, 0.1, (n_samples, 2)).astype(np.float32)
    return waveform


def save(spectrograms: Spectrograms, title: str, path: Path) -> None:
    file = draw_to_file(spectrograms, title, path)
    try:
        file.commit()
    finally:
        file.discard()


def gathered(
    mixture: Waveform, stems: Mapping[str, Waveform], rate: int = RATE, block: int = 100_000
) -> Spectrograms:
    collector = SpectrogramCollector(rate, list(stems))
    for first in range(0, len(mixture), block):
        part = slice(first, first + block)
        collector.add(mixture[part], {name: stem[part] for name, stem in stems.items()})
    return collector.finish()


def band(frequency: float, top: float = 16000) -> int:
    return int(mel(frequency) / mel(top) * N_BANDS)


@pytest.mark.parametrize("block", [1, 7, 1000, 4096, 20_001])
@pytest.mark.parametrize("n_samples", [1, 100, 3 * LOW, 20_001])
def test_how_samples_are_cut_into_blocks_does_not_matter(n_samples: int, block: int) -> None:
    mixture, vocals = noise(n_samples), noise(n_samples, 1)
    whole = gathered(mixture, {"vocals": vocals}, LOW, n_samples)
    cut = gathered(mixture, {"vocals": vocals}, LOW, block)
    np.testing.assert_array_equal(cut.mixture, whole.mixture)
    np.testing.assert_array_equal(cut.stems, whole.stems)
    assert cut.column_seconds == whole.column_seconds


@pytest.mark.parametrize("minutes", [1, 5, 30])
def test_blocks_do_not_matter_where_columns_were_merged(minutes: int) -> None:
    mixture = noise(minutes * 60 * LOW)
    whole = gathered(mixture, {"vocals": mixture}, LOW, len(mixture))
    for block in 1237, 400_000:
        np.testing.assert_array_equal(gathered(mixture, {"vocals": mixture}, LOW, block).mixture, whole.mixture)
    assert MOST_COLUMNS / 2 <= len(whole.mixture) < MOST_COLUMNS
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
    is_heard = result.mixture.sum(axis=1) > result.mixture.sum(axis=1).max() / 100
    assert begin - 0.1 < times[is_heard].min() < begin + 0.1
    assert begin + 0.9 < times[is_heard].max() < begin + 1.1
    assert begin < times[column] < begin + 1


def test_a_full_scale_tone_has_the_power_that_is_promised() -> None:
    left = tone(440, RATE) * np.array([1, 0], np.float32)
    power = gathered(left, {"a": left}).mixture[5]
    assert power.sum() == pytest.approx(1.5, rel=0.05)
    both = gathered(tone(440, RATE), {"a": left}).mixture[5]
    np.testing.assert_allclose(both, 2 * power, rtol=1e-3, atol=1e-6)


def test_merging_keeps_the_mean_power() -> None:
    """A song in which every frame is the same has the same spectrum, however often its columns were merged."""
    period = noise(128)  # the hop at this rate: every frame sees the same samples
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
    assert result.stems.shape[1] < MOST_COLUMNS


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


def test_levels_are_counted_from_the_loudest_bin_of_the_mixture() -> None:
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


def test_stems_that_were_not_asked_for_are_left_out() -> None:
    collector = SpectrogramCollector(RATE, ["a"])
    collector.add(noise(5000), {"b": noise(5000), "a": noise(5000)})
    assert collector.finish().names == ("a",)


matplotlib = pytest.importorskip("matplotlib")


def size_of(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        image.verify()
        assert image.format == "PNG"
        return image.size


@pytest.mark.parametrize("n_samples", [0, 1, 1000, 3 * RATE])
def test_a_song_of_any_length_can_be_drawn(tmp_path: Path, n_samples: int) -> None:
    song = noise(n_samples)
    save(gathered(song, {"vocals": song, "accompaniment": 0 * song}), "song", tmp_path / "song.png")
    assert size_of(tmp_path / "song.png") == pytest.approx((2000, 1125), abs=1)  # 16:9
    assert [path.name for path in tmp_path.iterdir()] == ["song.png"]


@pytest.mark.parametrize("n_stems", [1, 10])
def test_one_to_ten_stems_can_be_drawn(tmp_path: Path, n_stems: int) -> None:
    song = noise(RATE)
    path = tmp_path / "song.png"
    save(gathered(song, {f"stem {i}": noise(RATE, i) for i in range(n_stems)}), "song", path)
    width, height = size_of(path)
    assert (height > width) == (n_stems == 10)
    assert path.stat().st_size < 1.5e6


def test_no_name_is_too_strange(tmp_path: Path) -> None:
    song = noise(1000)
    names = ["", "曲 – 中文 🎵", "$x_{1$", "tab\tand\nline", "\udce4", "long " * 100]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title in "曲$x_{1$\n\udce4" * 100, "":
            save(gathered(song, dict.fromkeys(names, song)), title, tmp_path / "song.png")


def test_what_no_font_has_becomes_a_box_and_what_is_long_is_cut() -> None:
    assert drawable("Ünïcode – \n\U0010ffff", 80) == "Ünïcode – □□"
    assert drawable("abcdef", 6) == "abcdef"
    assert drawable("abcdefg", 6) == "abcde…"
    assert len(drawable("曲" * 10, 6)) == 3


def test_a_persons_own_style_does_not_show(tmp_path: Path) -> None:
    result = gathered(noise(RATE), {"a": noise(RATE)})
    save(result, "song", tmp_path / "plain.png")
    with matplotlib.style.context("dark_background"):
        save(result, "song", tmp_path / "dark.png")
        assert matplotlib.rcParams["text.color"] == "white"
    assert (tmp_path / "dark.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


@pytest.mark.parametrize(
    ("seconds", "first", "last"),
    [(1.5, "0:01", "0:01"), (5.5, "0:01", "0:05"), (200, "0:30", "3:00"), (3700, "0:10:00", "1:00:00")],
)
def test_time_is_written_in_minutes_and_from_an_hour_on_in_hours(seconds: float, first: str, last: str) -> None:
    _, labels = _time_ticks(seconds)
    assert (labels[1], labels[-1]) == (first, last)
    assert len(labels) <= 9


def test_drawn_it_is_not_yet_there(tmp_path: Path) -> None:
    file = draw_to_file(gathered(noise(1000), {"a": noise(1000)}), "song", tmp_path / "song.png")
    assert not (tmp_path / "song.png").exists()
    file.commit()
    file.discard()
    assert size_of(tmp_path / "song.png")


def test_nothing_is_left_behind_where_it_cannot_be_drawn_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = gathered(noise(1000), {"a": noise(1000)})
    with pytest.raises(EncodeError, match="no folder"):
        save(result, "song", tmp_path / "missing" / "song.png")
    (tmp_path / "song.png").mkdir()
    with pytest.raises(EncodeError, match="not a file"):
        save(result, "song", tmp_path / "song.png")
    (tmp_path / "song.png").rmdir()

    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("spleeter.plotting.file.draw", fail)
    with pytest.raises(MemoryError):
        save(result, "song", tmp_path / "song.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_one_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_matplotlib()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "spleeter.plotting.file.find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    with pytest.raises(OutputError, match=r"pip install 'spleeter\[plot\]'"):
        require_matplotlib()
    with pytest.raises(OutputError, match="matplotlib"):
        save(gathered(noise(1000), {"a": noise(1000)}), "song", tmp_path / "song.png")
    assert list(tmp_path.iterdir()) == []
