"""The measured values as a plot: speeds as bars, and peak memory by the length of the song."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Row, Table, format_value
from spleeter.plotting import render_png

if TYPE_CHECKING:  # it need not be installed
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#9c6b4e", "#97bbf5")


def draw(tables: Mapping[str, Sequence[Table]], path: Path) -> None:
    """Draw the tables of all sections into a PNG file, without the panels that have nothing to show."""
    speeds, curves = _speeds(tables), _memory_curves(tables)
    if not speeds and not curves:
        raise SystemExit(f"{path}: no section has measured anything that can be drawn")
    path.write_bytes(render_png(lambda: _figure(speeds, curves)))


def _figure(speeds: Sequence[tuple[str, str, float]], curves: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    from matplotlib.figure import Figure

    n_panels = bool(speeds) + bool(curves)
    size = 7.5 * n_panels, max(4.0, 1.2 + 0.24 * len(speeds))
    figure = Figure(size, 130, layout="constrained")
    axes = figure.subplots(1, n_panels, squeeze=False)[0]
    if speeds:
        _draw_speeds(axes[0], speeds)
    if curves:
        _draw_memory(axes[-1], curves)
    return figure


def _speeds(tables: Mapping[str, Sequence[Table]]) -> list[tuple[str, str, float]]:
    """Section, label and × real time of every row that has a speed."""
    return [
        (section, _label(row), speed)
        for section, of_section in tables.items()
        for row in _rows(of_section)
        if isinstance(speed := row.get("x_real_time"), float) and section != "memory"
    ]


def _memory_curves(tables: Mapping[str, Sequence[Table]]) -> dict[str, list[tuple[float, float]]]:
    """Points (minutes, peak MB) of each measured command."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(tables.get("memory") or tables.get("command", ())):
        minutes, peak = row.get("minutes"), row.get("peak_mb")
        if isinstance(minutes, float) and isinstance(peak, float) and row.get("codec") in (None, "wav"):
            curves.setdefault(str(row["what"]), []).append((minutes, peak))
    return curves


def _label(row: Row) -> str:
    """The name of a row, with its length and codec if it has them."""
    minutes, codec = row.get("minutes"), row.get("codec")
    words = [row["what"], f"{minutes:g} min" if isinstance(minutes, float) else None, codec]
    return ", ".join(str(word) for word in words if word is not None)


def _rows(tables: Sequence[Table]) -> list[Row]:
    return [row for table in tables for row in table.rows]


def _draw_speeds(axes: Axes, speeds: Sequence[tuple[str, str, float]]) -> None:
    sections = list(dict.fromkeys(section for section, _, _ in speeds))
    colours = [_COLOURS[sections.index(section) % len(_COLOURS)] for section, _, _ in speeds]
    values = [value for _, _, value in speeds]
    bars = axes.barh(range(len(speeds)), values, color=colours, height=0.75)
    axes.bar_label(bars, [format_value(value) for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(speeds)), [f"{section}: {what}" for section, what, _ in speeds], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, *values, min(values) / 2), max(values) * 3)
    axes.set_ylim(len(speeds) - 0.4, -0.6)
    axes.set_xlabel("seconds of music per second (logarithmic)")
    axes.set_title("Speed, × real time")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_memory(axes: Axes, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    for (name, points), colour in zip(curves.items(), _COLOURS * len(curves), strict=False):
        axes.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=name)
    lengths = sorted({minutes for points in curves.values() for minutes, _ in points})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [f"{minutes:g}" for minutes in lengths])
    axes.minorticks_off()
    axes.set_ylim(0, 1.25 * max(peak for points in curves.values() for _, peak in points))
    axes.set_xlabel("minutes of music (logarithmic)")
    axes.set_ylabel("peak resident memory, MB")
    axes.set_title("Memory of the command")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
