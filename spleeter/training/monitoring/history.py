"""The curves of a training <-> history.csv, a file that grows.

    step,set,name,value
    1000,training,loss,0.2173
    1000,training,loss/vocals,0.1034

Each line is given to the operating system as it is written, so that a killed training loses no more than one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from spleeter.errors import TrainingError
from spleeter.utils.names import display_name, reason
from spleeter.utils.whole_file import write_whole

__all__ = ["HISTORY_FILE", "History", "Scalar", "read_history", "write_errors"]

HISTORY_FILE = "history.csv"

_COLUMNS = ["step", "set", "name", "value"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One point of a curve.

    Args:
        step: after which it was measured.
        set: "training" or "validation".
        name: "loss" for the sum over stems, "loss/vocals" for a stem's, "steps_per_second", "data_wait".
        value: of it.
    """

    step: int
    set: str
    name: str
    value: float


def read_history(path: Path) -> list[Scalar]:
    """Read a training's curves, in the order they were written; a last line without a line end is left out.

    Raises:
        TrainingError: if the file cannot be read, or is not a history.
    """
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"cannot read {display_name(path)}: {reason(error)}") from error
    except (ValueError, csv.Error) as error:
        raise TrainingError(f"{display_name(path)} is not the history of a training: {error}") from error


class History:
    """Appends to a history.

    Args:
        path: in a folder that exists.
        step: from which the training resumes; later lines are removed, and so is one without a line end. At 0 a new
            training begins, and with it the file.

    Raises:
        TrainingError: if the file cannot be read or written, or is not a history. It is then left as it was.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        kept = [row for row in read_history(path) if row.step <= step] if step > 0 and path.exists() else []
        content = _lines([_COLUMNS]) + _lines([row.step, row.set, row.name, repr(row.value)] for row in kept)
        with write_errors(path):
            write_whole(path, content)
            self._file = path.open("ab")

    def add(self, step: int, set_: str, values: Mapping[str, float]) -> None:
        """Append the values measured after a step, by name. Raises TrainingError."""
        lines = _lines([step, set_, name, repr(float(value))] for name, value in values.items())
        with write_errors(self._path):
            self._file.write(lines)
            self._file.flush()

    def close(self) -> None:
        """May be called twice. Raises TrainingError."""
        with write_errors(self._path):
            self._file.close()


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing into a TrainingError that names a path."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"cannot write {display_name(path)}: {reason(error)}") from error


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _parse(content: bytes) -> list[Scalar]:
    """Raises ValueError or csv.Error, which say what is wrong."""
    header, *lines = content.decode().split("\n")[:-1] or [""]  # what follows the last line end is no line
    if header.split(",") != _COLUMNS:
        raise ValueError(f"it begins with {header[:40]!r}, not with {','.join(_COLUMNS)}")
    return [_scalar(row, number) for number, row in enumerate(csv.reader(lines), 2)]


def _scalar(row: list[str], number: int) -> Scalar:
    try:
        step, set_, name, value = row
        return Scalar(int(step), set_, name, float(value))
    except ValueError:
        raise ValueError(f"line {number} is damaged") from None
