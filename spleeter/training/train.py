"""The front door: a configuration in, a trained model's folder out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path

import torch

from spleeter.audio.adapter import AudioAdapter
from spleeter.backends.torch.device import select_device, select_precision
from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.data.batches import Batch, Excerpts, batches, middles
from spleeter.data.dataset import DataSet, prepare
from spleeter.errors import TrainingError
from spleeter.pipeline.prefetch import prefetch
from spleeter.training import state
from spleeter.training.distributed import Ranks
from spleeter.training.example import example
from spleeter.training.process import denormals_flushed
from spleeter.training.start import check_folder, claimed, fresh_network, network_from
from spleeter.training.state import TRAINING_FOLDER, Record
from spleeter.training.stopwatch import Stopwatch
from spleeter.training.summaries import Summaries
from spleeter.training.trainer import Trainer
from spleeter.training.watcher import StepReport, Watcher
from spleeter.utils.allocator import keep_all_memory
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

_BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Outcome:
    """What a training has come to.

    Args:
        model_dir: the folder of the model, absolute.
        record: how far it is, and its best validation.
        is_done: whether all steps have been taken.
    """

    model_dir: Path
    record: Record
    is_done: bool


def train(
    configuration: Configuration,
    *,
    data: Path | None = None,
    adapter: AudioAdapter | None = None,
    start_from: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    n_parts: int = 1,
    skip_bad: bool = False,
    watcher: Watcher | None = None,
) -> Outcome:
    """Train a model, or go on with it if its folder holds a training.

    The folder, `model_dir`, then holds the model, which can be separated with at any time: the one with the best
    validation so far, or the last one where there are no validation songs. In its folder `training` are the curves
    and all that is needed to go on.

    Args:
        configuration: of the model and its training; a relative model_dir is below the working directory.
        data: folder that the paths in the lists of songs are below; None for the folder of each list.
        adapter: reads sound files; None takes the default.
        start_from: model to take the first weights of: `spleeter:2stems`, a JSON file or a model's folder.
        device: as `select_device` takes it; of processes that train together each takes the CUDA device of its
            number.
        precision: float32, or for autocast bfloat16 or float16.
        n_parts: into which a batch is split to save memory.
        skip_bad: leave out songs with problems, rather than fail.
        watcher: is told of everything.

    Raises:
        DatasetError: if the songs are not fit for a training.
        TrainingError: if it cannot start, or the loss is no number any more.
        ModelError: if the network cannot be built, or the weights to start from cannot be had.
        DeviceError: if there is no such device or precision.
    """
    ranks, model_dir = Ranks.from_environment(), Path(configuration.model_dir).resolve()
    check_folder(model_dir, start_from)
    chosen = ranks.device(select_device(device))

    def run() -> Outcome:
        with ExitStack() as stack:
            if ranks.is_first:
                stack.enter_context(claimed(model_dir))
            trainer, record = _begin(configuration, model_dir, start_from, chosen, precision, n_parts, ranks)
            if _is_complete(record, configuration):
                return Outcome(model_dir, record, is_done=True)
            watching = watcher or Watcher()
            data_set = prepare(configuration, stack, data, adapter, skip_bad, ranks.world, watching)
            keep_all_memory()
            return _Run(configuration, model_dir, trainer, data_set, record, watching).go()

    with denormals_flushed(), ranks.joined(chosen):
        return run()  # in a function of its own, so that the trainer is gone before the processes part


def _begin(
    configuration: Configuration,
    model_dir: Path,
    start_from: str | None,
    device: torch.device,
    precision: str,
    n_parts: int,
    ranks: Ranks,
) -> tuple[Trainer, Record]:
    """A trainer as it is to begin, or to go on; and how far it is."""
    goes_on = state.is_there(model_dir)
    from_another = start_from is not None and not goes_on
    network = network_from(str(start_from), configuration) if from_another else fresh_network(configuration)
    trainer = Trainer(network, configuration, device, select_precision(precision, device), n_parts, ranks)
    record = state.resume(model_dir, trainer, configuration) if goes_on else Record(start_from=start_from)
    if not ranks.agree(record.step, device):
        raise TrainingError(f"the processes do not have the same {display_name(model_dir)}: it must be shared by all")
    return trainer, record


def _is_complete(record: Record, configuration: Configuration) -> bool:
    """Whether nothing is left to do."""
    is_validated = configuration.validation_csv is None or record.validated_step == record.step
    return record.step >= configuration.train_max_steps and is_validated


class _Run:
    """A training from where it is to its end, or to where it is stopped."""

    def __init__(
        self,
        configuration: Configuration,
        model_dir: Path,
        trainer: Trainer,
        data_set: DataSet,
        record: Record,
        watcher: Watcher,
    ) -> None:
        self._configuration, self._model_dir, self._watcher = configuration, model_dir, watcher
        self._trainer, self._data_set, self._ranks = trainer, data_set, trainer.ranks
        self._record = replace(record, n_excerpts=len(data_set.training))
        if record.n_excerpts not in (0, len(data_set.training)):
            logger.info("the training songs are others than before: other segments will be drawn")
        self._summaries: Summaries | None = None
        self._last_validation = -inf

    def go(self) -> Outcome:
        """Take the steps that are left."""
        with ExitStack() as stack:
            if self._ranks.is_first:
                folder = self._model_dir / TRAINING_FOLDER
                self._summaries = stack.enter_context(Summaries(folder, self._record.step))
            self._watcher.begins(self._record.step, self._configuration.train_max_steps, str(self._trainer.device))
            is_due = self._is_checkpoint() and self._record.validated_step < self._record.step
            if not is_due or self._validate():  # what a stop has left undone
                self._steps(stack.enter_context(closing(prefetch(self._batches(), _BATCHES_AHEAD))))
        return Outcome(self._model_dir, self._record, _is_complete(self._record, self._configuration))

    def _batches(self) -> Iterator[Batch]:
        configuration, ranks = self._configuration, self._ranks
        steps = range(self._trainer.n_steps, configuration.train_max_steps)
        # On a CPU the cores are for the network.
        n_threads = 1 if self._trainer.device.type == "cpu" else min(8, os.cpu_count() or 1)
        excerpts = self._data_set.training
        return batches(excerpts, steps, configuration.batch_size, ranks.rank, ranks.world, n_threads)

    def _steps(self, ahead: Iterator[Batch]) -> None:
        """Take steps as long as there are batches, and the watcher does not want to stop."""
        stopwatch = Stopwatch()
        for batch in stopwatch.waiting(ahead):
            losses = self._trainer.step(batch)
            stopwatch.step_done()
            self._record = replace(self._record, step=self._trainer.n_steps)
            self._tell(losses, stopwatch)
            wants_stop, is_due = self._ranks.any(
                self._watcher.wants_stop(), self._is_validation_due(), device=self._trainer.device
            )
            if self._is_checkpoint() or wants_stop:
                self._save()
            if wants_stop:
                return
            if self._is_checkpoint() and (is_due or self._is_last()) and not self._validate():
                return
            stopwatch.pause_done()

    def _is_last(self) -> bool:
        return self._record.step == self._configuration.train_max_steps

    def _is_checkpoint(self) -> bool:
        return self._is_last() or (
            self._record.step > 0 and self._record.step % self._configuration.save_checkpoints_steps == 0
        )

    def _tell(self, losses: list[float], stopwatch: Stopwatch) -> None:
        step, n_steps = self._trainer.n_steps, self._configuration.train_max_steps
        rate, wait = stopwatch.steps_per_second, stopwatch.data_wait
        self._watcher.step(StepReport(step, n_steps, sum(losses), rate, wait, (n_steps - step) / rate))
        if self._summaries is not None and (step % self._configuration.save_summary_steps == 0 or step == 1):
            self._summaries.training(step, self._named(losses), rate, wait)

    def _named(self, losses: list[float]) -> dict[str, float]:
        return dict(zip(self._configuration.instrument_list, losses, strict=True))

    def _is_validation_due(self) -> bool:
        return time.monotonic() - self._last_validation >= self._configuration.throttle_secs

    def _save(self) -> None:
        """Write all that is needed to go on; and the model, until there is a best one."""
        if not self._ranks.is_first:
            return
        state.save(self._model_dir, self._trainer, self._record, self._configuration)
        if self._record.best_loss is None:
            save_network(self._model_dir, self._trainer.network, self._configuration)
        self._watcher.saved(self._record.step)

    def _validate(self) -> bool:
        """Try the validation songs, and keep the model if it is the best so far; False if stopped meanwhile."""
        excerpts = self._data_set.validation
        if excerpts is None:
            return True
        batch_size = max(1, self._configuration.batch_size // self._ranks.world)
        segments = middles(excerpts, batch_size, self._ranks.rank, self._ranks.world)
        losses = self._trainer.validate(segments, lambda: not self._watcher.wants_stop())
        self._last_validation = time.monotonic()
        if losses is None:
            return False
        loss, step = sum(losses), self._record.step
        is_best = isfinite(loss) and (self._record.best_loss is None or loss < self._record.best_loss)
        self._record = replace(self._record, validated_step=step)
        if is_best:
            self._record = replace(self._record, best_loss=loss, best_step=step)
        if self._summaries is None:  # not the process that writes
            return True
        self._show(excerpts, losses)
        if is_best:
            save_network(self._model_dir, self._trainer.network, self._configuration)
        state.save(self._model_dir, self._trainer, self._record, self._configuration)
        self._watcher.validated(step, loss, self._record.best_step)
        return True

    def _show(self, excerpts: Excerpts, losses: list[float]) -> None:
        """Note a validation, with an example if there is somewhere to show it."""
        assert self._summaries is not None
        self._summaries.validation(self._record.step, self._named(losses))
        if self._summaries.takes_examples:
            made = example(next(middles(excerpts, 1)), self._trainer, self._configuration)
            rate = self._configuration.sample_rate
            self._summaries.example(self._record.step, made.magnitudes, made.sounds, rate)
