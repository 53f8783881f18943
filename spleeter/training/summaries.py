"""The curves of a training: a CSV file always, and TensorBoard's files where that is installed.

training/history.csv     step,set,name,value: one figure a line, as long as the training goes on
training/events.*        the same, with pictures and sounds of a validation song
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from spleeter.errors import TrainingError
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

HISTORY_FILE = "history.csv"

_HEADER = ["step", "set", "name", "value"]
_DYNAMIC_RANGE_DB = 80.0


@dataclass(frozen=True)
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
    """Read a training's curves; a last line that was not finished is left out.

    Raises:
        TrainingError: if there is no such file, or it is something else.
    """
    try:
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        header, *rows = csv.reader(whole.splitlines())
        if header != _HEADER:
            raise ValueError(f"its columns are {', '.join(header)}")
        return [Figure(int(step), set_, name, float(value)) for step, set_, name, value in rows]
    except OSError as error:
        raise TrainingError(f"cannot read {display_name(path)}: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{display_name(path)} is no history of a training: {error}") from error


class Summaries:
    """Writes the curves of a training; use it as a context manager.

    Args:
        folder: made if need be.
        step: from which the training goes on: what a training that was killed had written beyond it is dropped.

    Raises:
        TrainingError: if a file there cannot be written, or is no history; also from every method.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / HISTORY_FILE
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            kept = (
                [figure for figure in read_history(self._path) if figure.step <= step] if self._path.exists() else []
            )
            temporary = self._path.with_suffix(".part")
            with temporary.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerows([_HEADER, *([f.step, f.set, f.name, repr(f.value)] for f in kept)])
            temporary.replace(self._path)
            self._file = self._path.open("a", encoding="utf-8", newline="", buffering=1)
        self._events = _event_writer(folder, step)

    @property
    def takes_examples(self) -> bool:
        """Whether `example` has somewhere to write to."""
        return self._events is not None

    def training(self, step: int, losses: Mapping[str, float], steps_per_second: float, data_wait: float) -> None:
        """Note a step: "loss" and each stem's, steps a second, and the share of time that was waited for data."""
        speed = {"steps_per_second": steps_per_second, "data_wait": data_wait}
        self._write(step, "training", {**_named(losses), **speed})

    def validation(self, step: int, losses: Mapping[str, float]) -> None:
        """Note a validation: "loss" and each stem's."""
        self._write(step, "validation", _named(losses))

    def example(
        self, step: int, magnitudes: Mapping[str, Tensor], sounds: Mapping[str, Tensor], sample_rate: int
    ) -> None:
        """Show a segment of a validation song, in TensorBoard only.

        Args:
            step: after which it was separated.
            magnitudes: name -> (channels, T, F).
            sounds: name -> (channels, samples).
            sample_rate: of the sounds, in hertz.
        """
        if self._events is None:
            return
        with self._writing():
            for name, magnitude in magnitudes.items():
                self._events.add_image(f"example/{name}", picture(magnitude), step)
            for name, sound in sounds.items():
                self._events.add_audio(f"example/{name}", sound.mean(0, keepdim=True).clamp(-1, 1), step, sample_rate)

    def close(self) -> None:
        """Finish the files. May be called twice."""
        with self._writing():
            self._file.close()
            if self._events is not None:
                self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, step: int, set_: str, values: Mapping[str, float]) -> None:
        with self._writing():
            csv.writer(self._file, lineterminator="\n").writerows(
                [step, set_, name, repr(value)] for name, value in values.items()
            )
            if self._events is not None:
                for name, value in values.items():
                    self._events.add_scalar(f"{set_}/{name}", value, step)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(f"cannot write {display_name(self._path)}: {error.strerror or error}") from error


def picture(magnitudes: Tensor) -> Tensor:
    """Magnitudes (channels, T, F) -> a grey picture (1, F, T) in [0, 1]: low frequencies below, 80 dB of range."""
    loudness = 20 * magnitudes.mean(0).clamp(min=1e-10).log10()  # (T, F)
    scaled = 1 + (loudness - loudness.max()) / _DYNAMIC_RANGE_DB
    return scaled.clamp(0, 1).T.flip(0)[None]


def _named(losses: Mapping[str, float]) -> dict[str, float]:
    return {name if name == "loss" else f"loss/{name}": value for name, value in losses.items()}


def _event_writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which takes back what was written beyond a step; None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info(
            "curves are written to %s only; for TensorBoard: pip install 'spleeter[train]'",
            display_name(folder / HISTORY_FILE),
        )
        return None
    return SummaryWriter(str(folder), purge_step=step + 1, max_queue=100)
