"""Draw how trainings went: their loss, on the training songs and on the validation songs, step by step.

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
from spleeter.training.monitoring.history import HISTORY_FILE, Figure, read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#4269d0", "#e4572e", "#3ca951", "#a463f2", "#9c6b4e", "#d6a400")
"""Of the trainings in a panel."""

VALIDATION = "#e4572e"
"""Of the validation, in a panel of one training."""

_DOTTED: dict[str, Any] = {
    "linewidth": 1.4,
    "marker": "o",
    "markersize": 4.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
}

WINDOW = 1 / 40
"""The part of a curve's points that each point of the smoothed one is the mean of."""


@dataclass(frozen=True)
class Curve:
    """Values at steps, in the order of the steps; only those that are finite."""

    steps: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def smooth(self) -> Curve:
        """Each value as the mean of those around it.

        Fewer at the beginning, where a loss falls fast; at the end only those before.
        """
        n = len(self.values)
        at = np.arange(n)
        before = np.minimum(at, max(2, round(n * WINDOW / 2)))
        behind = np.minimum(before, n - 1 - at)
        sums = np.concatenate([[0.0], np.cumsum(self.values)])
        return Curve(self.steps, (sums[at + behind + 1] - sums[at - before]) / (behind + before + 1))

    def settled(self) -> npt.NDArray[np.float64]:
        """The values without the first tenth of the steps, in which a loss falls from far above."""
        return self.values[self.steps >= self.steps[-1] / 10] if len(self.steps) else self.values


@dataclass(frozen=True)
class Training:
    """What is drawn of one: its name, and the loss on either set."""

    name: str
    training: Curve
    validation: Curve

    def settled(self) -> npt.NDArray[np.float64]:
        return np.concatenate([self.training.smooth().settled(), self.validation.settled()])


def names_of(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, or where two have the same, as they were given."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def read(folder: Path, name: str) -> Training:
    """The training of a model's folder. Raises TrainingError if it has no history."""
    figures = read_history(folder / "training" / HISTORY_FILE)
    training, validation = (_curve(figures, part) for part in ("training", "validation"))
    if not len(training.steps):
        raise SystemExit(f"{folder}: no loss has been noted in its training/{HISTORY_FILE} yet")
    return Training(name, training, validation)


def _curve(figures: Sequence[Figure], part: str) -> Curve:
    points = [(f.step, f.value) for f in figures if (f.set, f.name) == (part, "loss") and np.isfinite(f.value)]
    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    return Curve(steps, values)


def panels(trainings: Sequence[Training]) -> list[list[Training]]:
    """All in one where that can be read: few, and their losses within a factor of two; else each in its own."""
    middles = [float(np.median(training.settled())) for training in trainings]
    fits = len(trainings) <= len(COLOURS) and max(middles) <= 2 * min(middles)
    return [list(trainings)] if fits else [[training] for training in trainings]


def draw(trainings: Sequence[Training], path: Path) -> None:
    """Draw the curves into a picture; what kind it is, the path's ending says."""
    from matplotlib.figure import Figure as Picture

    groups = panels(trainings)
    n_columns = min(2, len(groups))
    n_rows = -(-len(groups) // n_columns)
    picture = Picture((8.0 if n_columns == 1 else 11.0, 0.4 + 3.8 * n_rows), layout="constrained")
    axes = picture.subplots(n_rows, n_columns, squeeze=False)
    for group, axis in zip(groups, axes.flat, strict=False):
        panel(axis, group)
    _legend(axes[0, 0], len(groups[0]) == 1)
    for axis in axes.flat[len(groups) :]:
        axis.remove()
    picture.savefig(path, dpi=130)


def panel(axis: Axes, trainings: Sequence[Training]) -> None:
    """One training in a panel has a colour for each set; of several, each has one."""
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
    """Leave out the first steps' losses from far above, and single peaks, that the rest can be told apart."""
    raw = np.concatenate([training.training.settled() for training in trainings])
    smooth = np.concatenate([training.settled() for training in trainings])
    low = min(float(np.quantile(raw, 0.01)), float(smooth.min()))
    high = max(float(np.quantile(raw, 0.99)), float(smooth.max()))
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    axis.set_ylim(max(0.0, low - margin), high + margin)
    axis.set_xlim(0, 1.01 * max(float(training.training.steps[-1]) for training in trainings))


def _label_ends(axis: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """What each curve is and where it has come to, at its right end; labels keep a line's distance."""
    bottom, top = axis.get_ylim()
    height = -1.0
    for value, text, colour in sorted(ends):
        height = max((value - bottom) / (top - bottom), height + 0.12)
        axis.annotate(
            f"{_short_name(text)}\n{value:.4g}", (1, height), (6, 0), "axes fraction", "offset points",
            color=colour, fontsize=10, va="center", linespacing=1.1, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _legend(axis: Axes, is_alone: bool) -> None:
    """How the curves are drawn; it goes for all panels."""
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
    """Read, draw, say where."""
    parser = argparse.ArgumentParser(description="Draw the losses of trainings, over their steps.")
    parser.add_argument("model_dirs", metavar="MODEL_DIR", type=Path, nargs="+", help="the folder of a trained model")
    parser.add_argument("-o", "--output", type=Path, default=Path("curves.png"), help="the picture (%(default)s)")
    arguments = parser.parse_args()
    try:
        names = names_of(arguments.model_dirs)
        draw([read(*pair) for pair in zip(arguments.model_dirs, names, strict=True)], arguments.output)
    except ImportError:
        raise SystemExit(
            "curves are drawn by matplotlib, which is not installed: pip install 'spleeter[plot]'"
        ) from None
    except SpleeterError as error:
        raise SystemExit(str(error)) from None
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot write {arguments.output}: {getattr(error, 'strerror', None) or error}") from None
    print(arguments.output)


if __name__ == "__main__":
    main()
