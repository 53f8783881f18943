"""Plot the losses of trainings over their steps, on the training songs and on the validation songs.

python examples/curves.py my-model another-model -o curves.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spleeter.errors import SpleeterError
from spleeter.training.monitoring.history import HISTORY_FILE, Scalar, read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#4269d0", "#e4572e", "#3ca951", "#a463f2", "#9c6b4e", "#d6a400")
"""Colours of the trainings in a panel."""

VALIDATION = "#e4572e"
"""Colour of the validation, in a panel of one training."""

_DOTTED: dict[str, Any] = {
    "linewidth": 1.4,
    "marker": "o",
    "markersize": 4.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
}

WINDOW = 1 / 40
"""The fraction of a curve's points that each point of the smoothed one averages."""


@dataclass(frozen=True)
class Curve:
    """Values at steps, in the order of the steps; only those that are finite."""

    steps: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def smooth(self) -> Curve:
        """The moving average, over fewer values at the beginning, where a loss falls fast, and at the end."""
        n = len(self.values)
        at = np.arange(n)
        before = np.minimum(at, max(2, round(n * WINDOW / 2)))
        behind = np.minimum(before, n - 1 - at)
        sums = np.concatenate([[0.0], np.cumsum(self.values)])
        return Curve(self.steps, (sums[at + behind + 1] - sums[at - before]) / (behind + before + 1))

    def settled(self) -> npt.NDArray[np.float64]:
        """The values without the first tenth of the steps, in which a loss falls steeply."""
        return self.values[self.steps >= self.steps[-1] / 10] if len(self.steps) else self.values


@dataclass(frozen=True)
class Training:
    """A training to plot: its name, and the curves of its losses."""

    name: str
    training: Curve
    validation: Curve

    def settled(self) -> npt.NDArray[np.float64]:
        return np.concatenate([self.training.smooth().settled(), self.validation.settled()])


def names_of(folders: Sequence[Path]) -> list[str]:
    """The names of folders; their paths as given, if two have the same name."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def read(folder: Path, name: str) -> Training:
    """The training of a model's folder. Raises TrainingError if it has no history."""
    rows = read_history(folder / "training" / HISTORY_FILE)
    training, validation = (_curve(rows, name) for name in ("training", "validation"))
    if not len(training.steps):
        raise SystemExit(f"{folder}: there is no loss in its training/{HISTORY_FILE} yet")
    return Training(name, training, validation)


def _curve(rows: Sequence[Scalar], set_: str) -> Curve:
    points = [
        (row.step, row.value) for row in rows if (row.set, row.name) == (set_, "loss") and np.isfinite(row.value)
    ]
    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    return Curve(steps, values)


def panels(trainings: Sequence[Training]) -> list[list[Training]]:
    """Group trainings into panels: one if they are few and their losses within a factor of two; else one for each."""
    middles = [float(np.median(training.settled())) for training in trainings]
    fits = len(trainings) <= len(COLOURS) and max(middles) <= 2 * min(middles)
    return [list(trainings)] if fits else [[training] for training in trainings]


def draw(trainings: Sequence[Training], path: Path) -> None:
    """Plot the curves; the extension of the path decides about the format."""
    from matplotlib.figure import Figure

    groups = panels(trainings)
    n_columns = min(2, len(groups))
    n_rows = -(-len(groups) // n_columns)
    figure = Figure((8.0 if n_columns == 1 else 11.0, 0.4 + 3.8 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for group, axis in zip(groups, axes.flat, strict=False):
        panel(axis, group)
    _legend(axes[0, 0], len(groups[0]) == 1)
    for axis in axes.flat[len(groups) :]:
        axis.remove()
    figure.savefig(path, dpi=130)


def panel(axis: Axes, trainings: Sequence[Training]) -> None:
    """Plot trainings into a panel: one has a colour for each set; of several, each has one."""
    ends: list[tuple[float, str, str]] = []
    is_alone = len(trainings) == 1
    for training, colour in zip(trainings, COLOURS, strict=False):
        smooth, validation = training.training.smooth(), training.validation
        second = VALIDATION if is_alone else colour
        axis.plot(training.training.steps, training.training.values, color=colour, alpha=0.22, linewidth=0.6)
        axis.plot(smooth.steps, smooth.values, color=colour, linewidth=1.8)
        if is_alone:
            ends.append((smooth.values[-1], "training", colour))
        if len(validation.steps):
            axis.plot(validation.steps, validation.values, color=second, **_DOTTED)
        if is_alone and len(validation.steps):
            ends.append((validation.values[-1], "validation", second))
        if not is_alone:
            ends.append(((validation if len(validation.steps) else smooth).values[-1], training.name, colour))
    _scale(axis, trainings)
    _label_ends(axis, ends)
    if is_alone:
        axis.set_title(_short_name(trainings[0].name), loc="left", fontsize=12, weight="bold", parse_math=False)
    _describe(axis)


def _scale(axis: Axes, trainings: Sequence[Training]) -> None:
    """Leave out the steep beginning and single peaks, so that the rest fills the panel."""
    raw = np.concatenate([training.training.settled() for training in trainings])
    smooth = np.concatenate([training.settled() for training in trainings])
    low = min(float(np.quantile(raw, 0.01)), float(smooth.min()))
    high = max(float(np.quantile(raw, 0.99)), float(smooth.max()))
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    axis.set_ylim(max(0.0, low - margin), high + margin)
    axis.set_xlim(0, 1.01 * max(float(training.training.steps[-1]) for training in trainings))


def _label_ends(axis: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Label each curve with its name and last value, at its right end; labels do not overlap."""
    bottom, top = axis.get_ylim()
    height = -1.0
    for value, text, colour in sorted(ends):
        height = max((value - bottom) / (top - bottom), height + 0.12)
        axis.annotate(
            f"{_short_name(text)}\n{value:.4g}", (1, height), (6, 0), "axes fraction", "offset points",
            color=colour, fontsize=10, va="center", linespacing=1.1, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _legend(axis: Axes, is_alone: bool) -> None:
    """The legend of all panels."""
    from matplotlib.lines import Line2D

    first, second = (COLOURS[0], VALIDATION) if is_alone else ("0.4", "0.4")
    lines = [
        Line2D([], [], color=first, alpha=0.5, linewidth=0.8, label="training, step by step"),
        Line2D([], [], color=first, linewidth=1.8, label="training, smoothed"),
        Line2D([], [], color=second, label="validation", **_DOTTED),
    ]
    axis.legend(handles=lines, frameon=False, fontsize=9, loc="upper right")


def _describe(axis: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_xlabel("steps", fontsize=10)
    axis.set_ylabel("loss (difference of magnitudes)", fontsize=10)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: _short(steps)))
    axis.tick_params(labelsize=9, color="0.6")
    axis.grid(axis="y", color="0.92", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("0.6")


def _short_name(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _short(steps: float) -> str:
    """1000000 -> 1M, 2500 -> 2.5k."""
    for unit, size in ("M", 1e6), ("k", 1e3):
        if steps >= size:
            return f"{steps / size:g}{unit}"
    return f"{steps:g}"


def main() -> None:
    """Read the histories, plot them, print the path of the plot."""
    parser = argparse.ArgumentParser(description="Plot the losses of trainings over their steps.")
    parser.add_argument("model_dirs", metavar="MODEL_DIR", type=Path, nargs="+", help="the folder of a trained model")
    parser.add_argument("-o", "--output", type=Path, default=Path("curves.png"), help="the plot (%(default)s)")
    arguments = parser.parse_args()
    try:
        names = names_of(arguments.model_dirs)
        draw([read(*pair) for pair in zip(arguments.model_dirs, names, strict=True)], arguments.output)
    except ImportError:
        raise SystemExit(
            "curves are plotted by matplotlib, which is not installed: pip install 'spleeter[plot]'"
        ) from None
    except SpleeterError as error:
        raise SystemExit(str(error)) from None
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot write {arguments.output}: {getattr(error, 'strerror', None) or error}") from None
    print(arguments.output)


if __name__ == "__main__":
    main()
