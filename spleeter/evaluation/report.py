"""The scores of all methods and tracks -> a CSV file, Markdown tables, a box plot, and a table for a terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from spleeter.errors import EncodeError, EvaluationError, OutputError
from spleeter.evaluation.scores import FRAME_METRICS, TRACK_METRICS, median, read_scores
from spleeter.plotting import BoxPanel, box_plot_png
from spleeter.utils.logging import logger
from spleeter.utils.whole_file import write_whole

__all__ = [
    "METRICS_FOLDER",
    "ScoreRow",
    "ScoreRows",
    "as_csv",
    "as_markdown",
    "as_text",
    "collect_scores",
    "median_scores",
    "write_report",
]

Item = TypeVar("Item")

METRICS_FOLDER = "metrics"
"""Below it: METHOD/SUBSET/TRACK.json."""


@dataclass(frozen=True)
class ScoreRow:
    """One value of a method on a stem of a track, in decibels; of metrics with frames, the median over the frames."""

    method: str
    track: str
    target: str
    metric: str
    score: float


ScoreRows: TypeAlias = Sequence[ScoreRow]


def collect_scores(output: Path, subset: str) -> list[ScoreRow]:
    """The scores of all methods and tracks in a folder; unreadable files are skipped with a warning."""
    rows = []
    folders = [folder / subset for folder in sorted((output / METRICS_FOLDER).glob("*"))]
    for path in [path for folder in folders for path in sorted(folder.glob("*.json"))]:
        try:
            targets = read_scores(path).targets
        except EvaluationError as error:
            logger.warning("%s; skipped", error)
            continue
        for target in targets:
            for metric in (*FRAME_METRICS, *TRACK_METRICS):
                rows.append(ScoreRow(path.parent.parent.name, path.stem, target.name, metric, target.summary(metric)))
    return rows


def median_scores(rows: ScoreRows) -> dict[tuple[str, str, str], float]:
    """(method, target, metric) -> the median over the tracks that have a value."""
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        scores.setdefault((row.method, row.target, row.metric), []).append(row.score)
    return {key: median(values) for key, values in scores.items()}


def write_report(rows: ScoreRows, subset: str, output: Path) -> list[Path]:
    """Write `scores-SUBSET.csv`, `.md` and `.png` into a folder.

    Without matplotlib the plot is skipped with a warning.

    Args:
        rows: from `collect_scores`.
        subset: name of the subset.
        output: the folder.

    Returns:
        The files that were written; none if there are no rows.

    Raises:
        EncodeError: if a file cannot be written.
    """
    if not rows:
        return []
    csv_file, tables, plot = (output / f"scores-{subset}.{ending}" for ending in ("csv", "md", "png"))
    write_whole(csv_file, as_csv(rows, subset).encode(), EncodeError)
    write_whole(tables, as_markdown(rows, subset).encode(), EncodeError)
    try:
        png = box_plot_png(_box_panels(rows), f"tracks of {subset}")
    except OutputError as error:
        logger.warning("the box plot is skipped: %s", error)
        return [csv_file, tables]
    write_whole(plot, png, EncodeError)
    return [csv_file, tables, plot]


def as_csv(rows: ScoreRows, subset: str) -> str:
    """A CSV table with a line for each value; the score is empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "subset", "track", "target", "metric", "score"])
    for row in rows:
        score = "" if math.isnan(row.score) else f"{row.score:.5f}"
        writer.writerow([row.method, subset, row.track, row.target, row.metric, score])
    return text.getvalue()


def as_markdown(rows: ScoreRows, subset: str) -> str:
    """Markdown tables of medians with a line for each method, and of the SDR of each track with a column for each.

    The medians are those of BSS Eval v4, with the columns of the Spleeter paper, and of the ratios of whole tracks.
    """
    n_tracks = len(_unique(row.track for row in rows))
    paragraphs = [
        f"# Scores on {n_tracks} track{'s' * (n_tracks != 1)} of {subset}",
        "BSS Eval v4 in dB: medians over the tracks of the medians over their frames.",
        _median_table(rows, FRAME_METRICS),
        "Ratios over whole tracks in dB: medians over the tracks.",
        _median_table(rows, TRACK_METRICS),
        "SDR of each track in dB: the median over its frames / over the whole track.",
        _track_table(rows),
    ]
    return "\n\n".join(paragraphs) + "\n"


def as_text(rows: ScoreRows) -> str:
    """The medians as a table for a terminal, with a line for each method and stem."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    medians, metrics = median_scores(rows), (*FRAME_METRICS, *TRACK_METRICS)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for header in ("", "", *metrics):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    for method, target in _unique((row.method, row.target) for row in rows):
        scores = (_format(medians.get((method, target, metric))) for metric in metrics)
        table.add_row(Text(method), Text(target), *scores)  # a str would be read as markup
    console = Console(file=io.StringIO(), width=10_000)  # a terminal wraps lines that are longer than its own
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _median_table(rows: ScoreRows, metrics: Sequence[str]) -> str:
    """A Markdown table with a line for each method, and a column for each stem and metric."""
    medians = median_scores(rows)
    columns = [(target, metric) for target in _unique(row.target for row in rows) for metric in metrics]
    lines = [
        ["method", "tracks", *(f"{target} {metric}" for target, metric in columns)],
        ["---", *["---:"] * (1 + len(columns))],
    ]
    for method in _unique(row.method for row in rows):
        n_tracks = len(_unique(row.track for row in rows if row.method == method))
        lines.append([method, str(n_tracks), *(_format(medians.get((method, *column))) for column in columns)])
    return _markdown(lines)


def _track_table(rows: ScoreRows) -> str:
    """A Markdown table with a line for each track and stem, and a column for each method: both kinds of SDR."""
    methods = _unique(row.method for row in rows)
    scores = {(row.track, row.target, row.method, row.metric): row.score for row in rows}
    lines = [["track", "stem", *methods], ["---", "---", *["---:"] * len(methods)]]
    for track, target in _unique((row.track, row.target) for row in rows):
        pairs = [
            [scores.get((track, target, method, metric)) for metric in ("SDR", "global SDR")] for method in methods
        ]
        lines.append([track, target, *(" / ".join(_format(score) or "–" for score in pair) for pair in pairs)])
    return _markdown(lines)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as the lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _format(score: float | None) -> str:
    """A score with two decimals; empty where there is none."""
    return "" if score is None or math.isnan(score) else f"{score:.2f}"


def _box_panels(rows: ScoreRows) -> list[BoxPanel]:
    """A panel for each metric of BSS Eval, with the tracks' scores in a box for each stem and method."""
    targets, methods = _unique(row.target for row in rows), _unique(row.method for row in rows)
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if not math.isnan(row.score):
            scores.setdefault((row.metric, row.method, row.target), []).append(row.score)
    return [
        BoxPanel(
            f"{metric} in dB",
            targets,
            {method: [scores.get((metric, method, target), []) for target in targets] for method in methods},
        )
        for metric in FRAME_METRICS
    ]


def _unique(items: Iterable[Item]) -> list[Item]:
    """Each item once, in the order of first appearance."""
    return list(dict.fromkeys(items))
