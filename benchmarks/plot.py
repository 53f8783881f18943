"""The figures as a picture: speeds as bars, and peak memory against the length of the song."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Row, Table, shown

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#9c6b4e", "#97bbf5")


def draw(tables: Mapping[str, Sequence[Table]], path: Path) -> None:
    """Draw the tables of all sections into a PNG file; of what was not measured there is no panel."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    speeds, curves = _speeds(tables), _curves(tables)
    panels: list[Callable[[Any], None]] = []
    if speeds:
        panels.append(lambda axis: _draw_speeds(axis, speeds))
    if curves:
        panels.append(lambda axis: _draw_memory(axis, curves))
    if not panels:
        raise SystemExit(f"{path}: no section has measured anything that can be drawn")
    height = max(4.0, 1.2 + 0.24 * len(speeds))
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(7.5 * len(panels), height), squeeze=False, layout="constrained"
    )
    for panel, axis in zip(panels, axes[0], strict=True):
        panel(axis)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _speeds(tables: Mapping[str, Sequence[Table]]) -> list[tuple[str, str, float]]:
    """Section, label and × real time of every row that has a speed."""
    return [
        (section, _label(row), speed)
        for section, of_section in tables.items()
        for row in _rows(of_section)
        if isinstance(speed := row.get("x_real_time"), float) and section != "memory"
    ]


def _curves(tables: Mapping[str, Sequence[Table]]) -> dict[str, list[tuple[float, float]]]:
    """Minutes and peak MB, by what was run."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(tables.get("memory") or tables.get("command", ())):
        minutes, peak = row.get("minutes"), row.get("peak_mb")
        if isinstance(minutes, float) and isinstance(peak, float) and row.get("codec") in (None, "wav"):
            curves.setdefault(str(row["what"]), []).append((minutes, peak))
    return curves


def _label(row: Row) -> str:
    """What a row is about, with its length and codec if it has them."""
    minutes, codec = row.get("minutes"), row.get("codec")
    parts = [row["what"], f"{minutes:g} min" if isinstance(minutes, float) else None, codec]
    return ", ".join(str(part) for part in parts if part is not None)


def _rows(tables: Sequence[Table]) -> list[Row]:
    return [row for table in tables for row in table.rows]


def _draw_speeds(axis: Any, speeds: Sequence[tuple[str, str, float]]) -> None:
    sections = list(dict.fromkeys(section for section, _, _ in speeds))
    colours = [_COLOURS[sections.index(section) % len(_COLOURS)] for section, _, _ in speeds]
    values = [value for _, _, value in speeds]
    bars = axis.barh(range(len(speeds)), values, color=colours, height=0.75)
    axis.bar_label(bars, [shown(value) for value in values], padding=3, fontsize=8)
    axis.set_yticks(range(len(speeds)), [f"{section}: {what}" for section, what, _ in speeds], fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(min(0.5, *values, min(values) / 2), max(values) * 3)
    axis.set_ylim(len(speeds) - 0.4, -0.6)
    axis.set_xlabel("seconds of music per second (logarithmic)")
    axis.set_title("Speed, × real time")
    axis.spines[["top", "right"]].set_visible(False)


def _draw_memory(axis: Any, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    for (name, points), colour in zip(curves.items(), _COLOURS * len(curves), strict=False):
        axis.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=name)
    lengths = sorted({minutes for points in curves.values() for minutes, _ in points})
    axis.set_xscale("log")
    axis.set_xticks(lengths, [f"{minutes:g}" for minutes in lengths])
    axis.minorticks_off()
    axis.set_ylim(0, 1.25 * max(peak for points in curves.values() for _, peak in points))
    axis.set_xlabel("minutes of music (logarithmic)")
    axis.set_ylabel("peak resident memory, MB")
    axis.set_title("Memory of the command")
    axis.legend(frameon=False, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
