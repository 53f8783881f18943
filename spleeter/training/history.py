"""The curves of a training as one CSV file that grows: FIGURES <-> history.csv.

    step,set,name,value
    1000,training,loss,0.2173
    1000,training,loss/vocals,0.1034

What is noted goes to the operating system at once, so that a killed training loses no more than a line.
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

HISTORY_FILE = "history.csv"

_COLUMNS = ["step", "set", "name", "value"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One point of a curve.

    Args:
        step: after which it was taken.
        set: "training" or "validation".
        name: "loss" for the sum, "loss/vocals" for a stem's, "steps_per_second", "data_wait".
        value: of it.
    """

    step: int
    set: str
    name: str
    value: float


def read_history(path: Path) -> list[Figure]:
    """Read a training's curves, in the order they were written; a last line without an end is left out.

    Raises:
        TrainingError: if the file cannot be read, or is something else.
    """
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"cannot read {display_name(path)}: {reason(error)}") from error
    except (ValueError, csv.Error) as error:
        raise TrainingError(f"{display_name(path)} is no history of a training: {error}") from error


class History:
    """Adds to a history.

    Args:
        path: in a folder that exists.
        step: where the training goes on; later figures are dropped, and so is a line without an end. At 0 a new
            training begins, and with it the file.

    Raises:
        TrainingError: if the file cannot be read or written, or is no history. It is then left as it was.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        _rewrite(path, step)
        with writing(path):
            self._file = path.open("ab")

    def add(self, step: int, set_: str, values: Mapping[str, float]) -> None:
        """Add what was measured after a step. Raises TrainingError."""
        lines = _lines([step, set_, name, repr(float(value))] for name, value in values.items())
        with writing(self._path):
            self._file.write(lines)
            self._file.flush()

    def close(self) -> None:
        """May be called twice. Raises TrainingError."""
        with writing(self._path):
            self._file.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a TrainingError, which names a path, of what goes wrong with writing there."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"cannot write {display_name(path)}: {reason(error)}") from error


def _rewrite(path: Path, step: int) -> None:
    """Keep what was written up to a step. Raises TrainingError."""
    goes_on = step > 0 and path.exists()
    kept = [figure for figure in read_history(path) if figure.step <= step] if goes_on else []
    rows = ([figure.step, figure.set, figure.name, repr(figure.value)] for figure in kept)
    content = _lines([_COLUMNS]) + _lines(rows)
    write_whole(path, content, TrainingError)


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _parse(content: bytes) -> list[Figure]:
    """Raises ValueError or csv.Error, which say what is wrong."""
    header, *lines = content.decode().split("\n")[:-1] or [""]  # what follows the last end is not a line
    if header.split(",") != _COLUMNS:
        raise ValueError(f"it begins with {header[:40]!r}, not with {','.join(_COLUMNS)}")
    return [_figure(row, number) for number, row in enumerate(csv.reader(lines), 2)]


def _figure(row: list[str], number: int) -> Figure:
    try:
        step, set_, name, value = row
        return Figure(int(step), set_, name, float(value))
    except ValueError:
        raise ValueError(f"line {number} is damaged") from None
