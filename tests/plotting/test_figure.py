"""The figure of a separation and its PNG file."""

from __future__ import annotations

import importlib.util
import io
import warnings
from typing import Any

import numpy as np
import pytest

from spleeter.errors import OutputError
from spleeter.plotting import Spectrograms, require_matplotlib, spectrogram_png
from spleeter.plotting.figure import separation_figure
from spleeter.plotting.png import one_line
from tests.plotting.conftest import RATE, gathered, noise

matplotlib = pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def opened(png: bytes) -> Any:
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize("n_samples", [0, 1, 1000, 3 * RATE])
def test_a_song_of_any_length_can_be_drawn(n_samples: int) -> None:
    song = noise(n_samples)
    png = spectrogram_png(gathered(song, {"vocals": song, "accompaniment": 0 * song}), "song")
    assert opened(png).size == pytest.approx((2000, 1125), abs=1)  # 16:9


@pytest.mark.parametrize("n_stems", [1, 10])
def test_one_to_ten_stems_can_be_drawn(n_stems: int) -> None:
    png = spectrogram_png(gathered(noise(RATE), {f"stem {i}": noise(RATE, i) for i in range(n_stems)}), "song")
    width, height = opened(png).size
    assert (height > width) == (n_stems == 10)
    assert len(png) < 1.5e6


def test_compression_keeps_the_colours() -> None:
    """The pixels are those that matplotlib writes by itself, to a few of 255 shades, in half the bytes."""
    spectrograms = gathered(noise(3 * RATE), {"a": noise(3 * RATE, 1), "b": noise(3 * RATE, 2)})
    compressed, full = spectrogram_png(spectrograms, "song"), io.BytesIO()
    with matplotlib.style.context("default"):
        separation_figure(spectrograms, "song").savefig(full)
    ours, theirs = (np.asarray(opened(png).convert("RGB"), int) for png in (compressed, full.getvalue()))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=10)
    assert len(compressed) < 0.5 * len(full.getvalue())


def test_any_name_can_be_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    song = noise(1000)
    names = ["", "曲 – 中文 🎵", "$x_{1$", "tab\tand\nline", "\udce4", "\0\x07", "\U000f1234", "long " * 100]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title in "曲$x_{1$\n\udce4" * 100, "":
            opened(spectrogram_png(gathered(song, dict.fromkeys(names, song)), title))
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("abcdef", "abcdef"),
        ("abcdefg", "abcde…"),
        ("曲曲曲", "曲曲曲"),
        ("曲曲曲曲", "曲曲 …"),
        ("a\nb\tc", "a b c"),
        ("\udce4", "?"),
        ("$x$", r"\$x\$"),
    ],
)
def test_texts_are_cut_to_one_line_of_six_columns(text: str, line: str) -> None:
    assert one_line(text, 6) == line


def test_the_users_own_style_does_not_show() -> None:
    spectrograms = gathered(noise(RATE), {"a": noise(RATE)})
    plain = spectrogram_png(spectrograms, "song")
    with matplotlib.style.context("dark_background"):
        assert spectrogram_png(spectrograms, "song") == plain
        assert matplotlib.rcParams["text.color"] == "white"


@pytest.mark.parametrize(
    ("seconds", "second", "last"),
    [(1.5, "0:01", "0:01"), (5.5, "0:01", "0:05"), (200, "0:30", "3:00"), (3700, "0:10:00", "1:00:00")],
)
def test_ticks_are_in_minutes_and_from_an_hour_on_in_hours(seconds: float, second: str, last: str) -> None:
    power = np.zeros((10, 160), np.float32)
    figure = separation_figure(Spectrograms(("a",), power, power[None], seconds / 10, 16_000), "song")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert (labels[1], labels[-1]) == (second, last)
    assert len(labels) <= 9


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_matplotlib()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "spleeter.plotting.png.find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    with pytest.raises(OutputError, match=r"pip install 'spleeter\[plot\]'"):
        require_matplotlib()
    with pytest.raises(OutputError, match="matplotlib"):
        spectrogram_png(gathered(noise(1000), {"a": noise(1000)}), "song")
