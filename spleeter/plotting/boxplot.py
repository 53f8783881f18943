"""The box plot of an evaluation: panels with groups of boxes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spleeter.plotting.png import one_line, render_png

if TYPE_CHECKING:  # it need not be installed
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BoxPanel", "box_plot_png"]


@dataclass(frozen=True)
class BoxPanel:
    """One panel of a box plot.

    Attributes:
        label: of the vertical axis.
        groups: the labels of the horizontal axis.
        series: name, for the legend -> for each group the values that its box summarises. All panels of a plot have
            the same series.
    """

    label: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[Sequence[float]]]


def box_plot_png(panels: Sequence[BoxPanel], legend_title: str) -> bytes:
    """Four panels, two by two, with one legend below: in each panel a box for each group and series. A PNG file.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    return render_png(lambda: _draw(panels, legend_title))


def _draw(panels: Sequence[BoxPanel], legend_title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((11, 7), 110, layout="constrained")
    for axes, panel in zip(figure.subplots(2, 2, sharex=True).flat, panels, strict=True):
        boxes = _draw_panel(axes, panel)
    labels = [one_line(name, 45) for name in panels[0].series]
    figure.legend(boxes, labels, loc="outside lower center", ncols=4, title=one_line(legend_title, 80))
    return figure


def _draw_panel(axes: Axes, panel: BoxPanel) -> list[Any]:
    """Draw one panel; returns a box of each series, for the legend."""
    legend = []
    n_series = len(panel.series)
    for index, values in enumerate(panel.series.values()):
        artists = axes.boxplot(
            values,
            positions=[group + (index + 0.5) / n_series * 0.8 - 0.4 for group in range(len(panel.groups))],
            widths=0.7 / n_series,
            patch_artist=True,
            boxprops={"facecolor": f"C{index}", "alpha": 0.6},
            medianprops={"color": f"C{index}", "linewidth": 2},
        )
        legend.append(artists["boxes"][0])
    axes.set_xticks(range(len(panel.groups)), [one_line(group, 45) for group in panel.groups])
    axes.set_ylabel(panel.label)
    axes.grid(axis="y", alpha=0.3)
    return legend
