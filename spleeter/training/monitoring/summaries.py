"""The curves of a training: a CSV file always, and TensorBoard's files where that is installed.

training/history.csv              all losses and speeds
training/events.out.tfevents.*    the same, and the separation of a validation segment: spectrograms and audio
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from spleeter.errors import TrainingError
from spleeter.plotting import linear_power, spectrogram_image
from spleeter.training.monitoring.example import Example
from spleeter.training.monitoring.history import HISTORY_FILE, History, write_errors
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

if TYPE_CHECKING:  # it need not be installed
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["Summaries"]

_FLUSH_SECONDS = 30
"""How much of TensorBoard's files a training that is killed may lose."""


class Summaries:
    """Writes the curves of a training; a context manager.

    Args:
        folder: made if need be.
        step: from which the training resumes: what was written after later steps is removed. At 0 a new one begins.

    Raises:
        TrainingError: if a file there cannot be written, or is not a history; also from every method.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._history = History(folder / HISTORY_FILE, step)
        try:
            self._events = _event_writer(folder, step)
        except BaseException:
            self._history.close()
            raise

    @property
    def takes_examples(self) -> bool:
        """Whether `example` writes anything: only TensorBoard can."""
        return self._events is not None

    def training(self, step: int, losses: Mapping[str, float], steps_per_second: float, data_wait: float) -> None:
        """Write the loss and the speed of a step.

        Args:
            step: after which.
            losses: of each instrument.
            steps_per_second: mean of the last steps.
            data_wait: fraction of the last steps' time that was spent waiting for batches.
        """
        rates = {"steps_per_second": steps_per_second, "data_wait": data_wait}
        self._add(step, "training", {**_named(losses), **rates})

    def validation(self, step: int, losses: Mapping[str, float]) -> None:
        """Write the loss of each instrument in a validation after a step."""
        self._add(step, "validation", _named(losses))

    def example(self, step: int, example: Example) -> None:
        """Write the separation of a validation segment after a step: spectrogram images, and audio in one channel.

        All images have the same scale, from the loudest bin of any 80 dB down. Waveforms are clipped at ±1.
        """
        if self._events is None:
            return
        shown = {name: linear_power(magnitudes) for name, magnitudes in example.magnitudes.items()}
        loudest = max((float(power.max()) for power in shown.values()), default=0.0)
        with write_errors(self._folder):
            for name, power in shown.items():
                image = spectrogram_image(power, loudest)
                self._events.add_image(f"validation/example/{name}", image, step, dataformats="HWC")
            for name, waveform in example.waveforms.items():
                tag = f"validation/example/{name}"
                self._events.add_audio(tag, _to_mono(waveform), step, example.sample_rate)

    def close(self) -> None:
        """Finish the files. May be called twice."""
        try:
            self._history.close()
        finally:
            if self._events is not None:
                with write_errors(self._folder):
                    self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(TrainingError):  # the first error is the one to report
                self.close()

    def _add(self, step: int, set_: str, values: Mapping[str, float]) -> None:
        self._history.add(step, set_, values)
        if self._events is not None:
            with write_errors(self._folder):
                for name, value in values.items():
                    self._events.add_scalar(f"{set_}/{name}", value, step)


def _event_writer(folder: Path, step: int) -> SummaryWriter | None:
    """TensorBoard's writer, which hides what was written after later steps; None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info(
            f"TensorBoard is not installed: curves go to {display_name(folder / HISTORY_FILE)} only"
            " (pip install 'spleeter[train]' for both)"
        )
        return None
    with write_errors(folder):
        return SummaryWriter(str(folder), purge_step=step + 1, flush_secs=_FLUSH_SECONDS)


def _named(losses: Mapping[str, float]) -> dict[str, float]:
    """Losses by their names in the curves, and their sum."""
    return {"loss": sum(losses.values()), **{f"loss/{name}": value for name, value in losses.items()}}


def _to_mono(waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(channels, samples) -> (1, samples) within ±1; NaN becomes silence."""
    return np.asarray(np.clip(np.nan_to_num(np.mean(waveform, axis=0, keepdims=True)), -1, 1), np.float32)
