"""Tables of measured values, and their Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Row", "Table", "Value", "format_value", "markdown"]

Value: TypeAlias = str | float | int | None

Row: TypeAlias = dict[str, Value]
"""Values by name, ready for JSON. `what` names the row; the names' endings are the units."""


@dataclass(frozen=True)
class Table:
    """Rows of measured values, and notes on how they were measured."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()


_HEADINGS = {
    "what": "",
    "x_real_time": "× real time",
    "gflop_per_s": "GFLOP/s",
    "peak_mb": "peak MB",
    "snr_db": "SNR dB",
    "ours_to_theirs": "ours / theirs",
}


def markdown(table: Table) -> str:
    """The table as Markdown, with its title above and its notes below."""
    columns = list(dict.fromkeys(key for row in table.rows for key in row))
    lines = [
        _line(map(_heading, columns)),
        _line(_alignment(column, table.rows) for column in columns),
        *(_line(format_value(row.get(column)) for column in columns) for row in table.rows),
    ]
    return "\n\n".join([f"## {table.title}", "\n".join(lines), *table.notes]) + "\n"


def format_value(value: Value) -> str:
    """A value with about three digits."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 or value.is_integer() else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    return f"{value:.{digits}f}"


def _heading(column: str) -> str:
    """The heading of a column, from the name of its values."""
    if column in _HEADINGS:
        return _HEADINGS[column]
    return column.replace("_percent", " %").replace("_", " ")


def _alignment(column: str, rows: Sequence[Row]) -> str:
    """The cell of a Markdown table's second line: text flush left, values flush right."""
    is_text = any(isinstance(row.get(column), str) for row in rows)
    return "---" if is_text else "---:"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
