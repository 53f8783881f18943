"""The box plot of an evaluation."""

from __future__ import annotations

import io
import warnings

import pytest

from spleeter.plotting import BoxPanel, box_plot_png

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

SCORES = {"mask": [[1.0, 2.0, 4.0], [3.0, 5.0]], "mwf": [[2.0, 2.5], []]}


def panels(groups: list[str], scores: dict[str, list[list[float]]]) -> list[BoxPanel]:
    return [BoxPanel(f"{metric} in dB", groups, scores) for metric in ("SDR", "SIR", "SAR", "ISR")]


def test_groups_without_values_and_strange_names_are_drawn_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for names in ["vocals", "drums"], ["$x_{1$ 曲", "\udce4\n"]:
            image = Image.open(io.BytesIO(box_plot_png(panels(names, SCORES), "tracks of test")))
            assert image.size == (1210, 770)


def test_the_values_are_what_is_drawn() -> None:
    other = {**SCORES, "mwf": [[2.0, 2.5], [1.0]]}
    groups = ["vocals", "drums"]
    assert box_plot_png(panels(groups, SCORES), "test") == box_plot_png(panels(groups, SCORES), "test")
    assert box_plot_png(panels(groups, SCORES), "test") != box_plot_png(panels(groups, other), "test")
