"""The curves of a training: a CSV file always, and TensorBoard's files where that is installed.

training/history.csv           all figures
training/events.out.tfevents.* the same, and what becomes of a validation song, to be seen and heard
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from torch import Tensor

from spleeter.errors import TrainingError
from spleeter.plotting import linear_power, spectrogram_image
from spleeter.training.history import HISTORY_FILE, History, writing
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

if TYPE_CHECKING:  # it need not be installed
    from torch.utils.tensorboard import SummaryWriter

_FLUSH_SECONDS = 30
"""How much of TensorBoard's files a training that is killed may lose."""


class Summaries:
    """Writes the curves of a training; a context manager.

    Args:
        folder: made if need be.
        step: where the training goes on: what was written of later steps is dropped. At 0 a new one begins.

    Raises:
        TrainingError: if a file there cannot be written, or is no history; also from every method.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._history = History(folder / HISTORY_FILE, step)
        try:
            self._events = _event_writer(folder, step)
        except BaseException:
            self._history.close()
            raise

    @property
    def takes_examples(self) -> bool:
        """Whether `example` has somewhere to write to."""
        return self._events is not None

    def training(self, step: int, losses: Mapping[str, float], steps_per_second: float, data_wait: float) -> None:
        """Note how it goes.

        Args:
            step: after which.
            losses: of each instrument.
            steps_per_second: of late.
            data_wait: share of the time, of late, in which no batch was there.
        """
        rates = {"steps_per_second": steps_per_second, "data_wait": data_wait}
        self._add(step, "training", {**_named(losses), **rates})

    def validation(self, step: int, losses: Mapping[str, float]) -> None:
        """Note a validation after a step: the loss of each instrument."""
        self._add(step, "validation", _named(losses))

    def example(
        self, step: int, magnitudes: Mapping[str, Tensor], sounds: Mapping[str, Tensor], sample_rate: int
    ) -> None:
        """Show what becomes of a validation song; only TensorBoard can.

        All pictures have the same scale, from the loudest bin of any 80 dB down. Sounds are mixed to one channel.

        Args:
            step: after which.
            magnitudes: name -> (channels, T, F).
            sounds: name -> (channels, samples), clipped at ±1.
            sample_rate: in hertz.
        """
        if self._events is None:
            return
        shown = {name: linear_power(value.detach().cpu().float().numpy()) for name, value in magnitudes.items()}
        loudest = max((float(power.max()) for power in shown.values()), default=0.0)
        with writing(self._folder):
            for name, power in shown.items():
                picture = spectrogram_image(power, loudest)
                self._events.add_image(f"validation/example/{name}", picture, step, dataformats="HWC")
            for name, sound in sounds.items():
                self._events.add_audio(f"validation/example/{name}", _mono(sound), step, sample_rate)

    def close(self) -> None:
        """Finish the files. May be called twice."""
        try:
            self._history.close()
        finally:
            if self._events is not None:
                with writing(self._folder):
                    self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(TrainingError):  # what went wrong first is what to tell
                self.close()

    def _add(self, step: int, set_: str, values: Mapping[str, float]) -> None:
        self._history.add(step, set_, values)
        if self._events is not None:
            with writing(self._folder):
                for name, value in values.items():
                    self._events.add_scalar(f"{set_}/{name}", value, step)


def _event_writer(folder: Path, step: int) -> SummaryWriter | None:
    """TensorBoard's writer, which takes back what was written of later steps; None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info(
            f"TensorBoard is not installed: curves go to {display_name(folder / HISTORY_FILE)} only"
            " (pip install 'spleeter[train]' for both)"
        )
        return None
    with writing(folder):
        return SummaryWriter(str(folder), purge_step=step + 1, flush_secs=_FLUSH_SECONDS)


def _named(losses: Mapping[str, float]) -> dict[str, float]:
    """Losses as they are called in the curves, and their sum."""
    return {"loss": sum(losses.values()), **{f"loss/{name}": value for name, value in losses.items()}}


def _mono(sound: Tensor) -> Tensor:
    """Samples (channels, samples) -> (1, samples) within ±1; NaN becomes silence."""
    return sound.detach().float().mean(dim=0, keepdim=True).nan_to_num().clamp(-1, 1)
