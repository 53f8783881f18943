"""What all methods reached, side by side: a CSV file, Markdown tables and a box plot."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from spleeter.errors import EncodeError, EvaluationError
from spleeter.evaluation.scores import FRAME_METRICS, TRACK_METRICS, median, read
from spleeter.utils.logging import logger
from spleeter.utils.whole_file import write_whole

Item = TypeVar("Item")

_DISTORTION = (FRAME_METRICS[0], TRACK_METRICS[0])
"""SDR: of frames, and of whole tracks."""

METRICS_FOLDER = "metrics"
"""Below it: METHOD/SUBSET/TRACK.json."""


@dataclass(frozen=True)
class Row:
    """One number: what a method reached on a stem of a track, in decibels; of metrics with frames, the median."""

    method: str
    track: str
    target: str
    metric: str
    score: float


Rows: TypeAlias = Sequence[Row]


def collect(output: Path, subset: str) -> list[Row]:
    """The numbers of all methods and tracks with scores in a folder; broken files are left out with a warning."""
    rows = []
    folders = [folder / subset for folder in sorted((output / METRICS_FOLDER).glob("*"))]
    for path in [path for folder in folders for path in sorted(folder.glob("*.json"))]:
        try:
            targets = read(path).targets
        except EvaluationError as error:
            logger.warning("%s; left out", error)
            continue
        for target in targets:
            for metric in (*FRAME_METRICS, *TRACK_METRICS):
                rows.append(Row(path.parent.parent.name, path.stem, target.name, metric, target.summary(metric)))
    return rows


def write_report(rows: Rows, subset: str, output: Path) -> list[Path]:
    """Write `scores-SUBSET.csv`, `.md` and `.png` into a folder.

    Without matplotlib the plot is left out, which the logger is told.

    Args:
        rows: what `collect` found there.
        subset: that they are of.
        output: the folder.

    Returns:
        The files that were written; none if there are no rows.

    Raises:
        EncodeError, OSError: if one cannot be written.
    """
    if not rows:
        return []
    csv_file, tables, plot = (output / f"scores-{subset}.{ending}" for ending in ("csv", "md", "png"))
    write_whole(csv_file, as_csv(rows, subset).encode(), EncodeError)
    write_whole(tables, as_markdown(rows, subset).encode(), EncodeError)
    return [csv_file, tables, *([plot] if draw(rows, subset, plot) else [])]


def as_csv(rows: Rows, subset: str) -> str:
    """A line for each number; one that there is not is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "subset", "track", "target", "metric", "score"])
    for row in rows:
        score = "" if math.isnan(row.score) else f"{row.score:.5f}"
        writer.writerow([row.method, subset, row.track, row.target, row.metric, score])
    return text.getvalue()


def as_markdown(rows: Rows, subset: str) -> str:
    """Tables with a line for each method, BSS Eval as in the Spleeter paper and the ratios of whole tracks; then the
    ratios to distortion track by track, with a column for each method."""
    n_tracks = len(_different(row.track for row in rows))
    return (
        "\n\n".join(
            [
                f"# Scores on {n_tracks} track{'s' * (n_tracks != 1)} of {subset}",
                "BSS Eval v4 in dB: medians over the tracks of the medians over their frames.",
                _table(rows, FRAME_METRICS),
                "Ratios over whole tracks in dB: medians over the tracks.",
                _table(rows, TRACK_METRICS),
                "SDR of each track in dB: the median over its frames / over the whole track.",
                _table_of_tracks(rows),
            ]
        )
        + "\n"
    )


def _table(rows: Rows, metrics: Sequence[str]) -> str:
    medians = overall(rows)
    columns = [(target, metric) for target in _different(row.target for row in rows) for metric in metrics]
    lines = [
        ["method", "tracks", *(f"{target} {metric}" for target, metric in columns)],
        ["---", *["---:"] * (1 + len(columns))],
    ]
    for method in _different(row.method for row in rows):
        n_tracks = len(_different(row.track for row in rows if row.method == method))
        lines.append([method, str(n_tracks), *(shown(medians.get((method, *column))) for column in columns)])
    return _lines(lines)


def _table_of_tracks(rows: Rows) -> str:
    methods = _different(row.method for row in rows)
    scores = {(row.track, row.target, row.method, row.metric): row.score for row in rows}
    lines = [["track", "stem", *methods], ["---", "---", *["---:"] * len(methods)]]
    for track, target in _different((row.track, row.target) for row in rows):
        pairs = [[scores.get((track, target, method, metric)) for metric in _DISTORTION] for method in methods]
        lines.append([track, target, *(" / ".join(shown(score) or "–" for score in pair) for pair in pairs)])
    return _lines(lines)


def _lines(cells: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in cells)


def overall(rows: Rows) -> dict[tuple[str, str, str], float]:
    """(method, target, metric) -> the median over the tracks, NaN apart."""
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        scores.setdefault((row.method, row.target, row.metric), []).append(row.score)
    return {key: median(values) for key, values in scores.items()}


def shown(score: float | None) -> str:
    """A number for a table, with two decimals; nothing where there is none."""
    return "" if score is None or math.isnan(score) else f"{score:.2f}"


def as_text(rows: Rows) -> str:
    """The medians as a small table for a terminal: a line for each method and stem."""
    medians, metrics = overall(rows), (*FRAME_METRICS, *TRACK_METRICS)
    lines = [["", "", *metrics]]
    for method, target in _different((row.method, row.target) for row in rows):
        lines.append([method, target, *(shown(medians.get((method, target, metric))) for metric in metrics)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned: list[Callable[[str, int], str]] = [str.ljust, str.ljust, *[str.rjust] * len(metrics)]
    return "\n".join(
        "  ".join(align(cell, width) for align, cell, width in zip(aligned, line, widths, strict=True)).rstrip()
        for line in lines
    )


def draw(rows: Rows, subset: str, path: Path) -> bool:
    """Draw the tracks' numbers as boxes: a plot for each metric of BSS Eval, in it a box for each stem and method.

    Returns:
        Whether it was drawn: without matplotlib it is not, and the logger is told how to have it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("the box plot is left out, because it takes matplotlib: pip install spleeter[plot]")
        return False
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, metric in zip(figure.subplots(2, 2, sharex=True).flat, FRAME_METRICS, strict=True):
        boxes = _boxes(axes, [row for row in rows if row.metric == metric])
        axes.set_ylabel(f"{metric} in dB")
        axes.grid(axis="y", alpha=0.3)
    figure.legend(boxes.values(), boxes, loc="outside lower center", ncols=4, title=f"tracks of {subset}")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    write_whole(path, png.getvalue(), EncodeError)
    return True


def _boxes(axes: Any, rows: Rows) -> dict[str, Any]:
    """Draw one metric's boxes, side by side for each stem. Returns a box for each method, for the legend."""
    targets, methods = _different(row.target for row in rows), _different(row.method for row in rows)
    legend = {}
    for number, method in enumerate(methods):
        scores = [[row.score for row in rows if (row.method, row.target) == (method, target)] for target in targets]
        drawn = axes.boxplot(
            [[score for score in of_target if not math.isnan(score)] for of_target in scores],
            positions=[place + (number + 0.5) / len(methods) * 0.8 - 0.4 for place in range(len(targets))],
            widths=0.7 / len(methods),
            patch_artist=True,
            boxprops={"facecolor": f"C{number}", "alpha": 0.6},
            medianprops={"color": f"C{number}", "linewidth": 2},
        )
        legend[method] = drawn["boxes"][0]
    axes.set_xticks(range(len(targets)), targets)
    return legend


def _different(items: Iterable[Item]) -> list[Item]:
    """Each item once, in the order of their first appearance."""
    return list(dict.fromkeys(items))
