"""What a section has measured, and its Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | float | int | None

Row: TypeAlias = dict[str, Value]
"""Plain figures by name, ready for JSON. `what` says what they belong to, the names' ends are the units."""


@dataclass(frozen=True)
class Table:
    """Rows of figures, and notes on how they were made."""

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
        _line(_rule(column, table.rows) for column in columns),
        *(_line(shown(row.get(column)) for column in columns) for row in table.rows),
    ]
    return "\n\n".join([f"## {table.title}", "\n".join(lines), *table.notes]) + "\n"


def shown(value: Value) -> str:
    """A figure with about three digits."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    digits = 0 if size >= 100 or value.is_integer() else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}"


def _heading(column: str) -> str:
    if column in _HEADINGS:
        return _HEADINGS[column]
    return column.replace("_percent", " %").replace("_", " ")


def _rule(column: str, rows: Sequence[Row]) -> str:
    is_text = any(isinstance(row.get(column), str) for row in rows)
    return "---" if is_text else "---:"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
