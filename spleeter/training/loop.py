"""The training loop: take steps, save checkpoints, validate, keep the best model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path

from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.data.batches import Batch, training_batches, validation_batches
from spleeter.data.dataset import DataSet
from spleeter.pipeline.prefetch import prefetch
from spleeter.training import state
from spleeter.training.monitoring.example import separate_example
from spleeter.training.monitoring.progress import StepReport, Stopwatch, Watcher
from spleeter.training.monitoring.summaries import Summaries
from spleeter.training.state import TRAINING_FOLDER, Record
from spleeter.training.step import Trainer
from spleeter.utils.logging import logger

__all__ = ["Outcome", "TrainingLoop"]

_PREFETCHED_BATCHES = 4


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Args:
        model_dir: the folder of the model, absolute.
        record: its progress, and its best validation.
        is_done: whether all steps have been taken.
    """

    model_dir: Path
    record: Record
    is_done: bool


class TrainingLoop:
    """A training from the step it is at to its last one, or to where it is stopped.

    Args:
        configuration: of the model and its training.
        model_dir: where the model, and in its folder `training` state and curves, are written.
        trainer: new, or with the saved state.
        data_set: to train and validate on.
        record: the progress so far.
        watcher: is called after every step, and may stop it.
    """

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
        if record.step > configuration.train_max_steps:
            logger.warning(
                "the training is at step %d already, beyond train_max_steps = %d: no step is taken",
                *(record.step, configuration.train_max_steps),
            )
        if record.n_excerpts not in (0, len(data_set.training)):
            logger.info("the training songs have changed: other segments will be drawn")
        self._summaries: Summaries | None = None  # in the process that writes
        self._last_validation = -inf

    def run(self) -> Outcome:
        """Take the steps that are left.

        Raises:
            TrainingError: if a loss is NaN or infinite, or a file cannot be written.
        """
        with ExitStack() as stack:
            if self._ranks.is_first:
                self._summaries = stack.enter_context(Summaries(self._model_dir / TRAINING_FOLDER, self._record.step))
            self._watcher.begins(self._record.step, self._configuration.train_max_steps, str(self._trainer.device))
            if self._lacks_validation() and not self._validate():
                self._save()
            else:
                self._take_steps(stack.enter_context(closing(prefetch(self._batches(), _PREFETCHED_BATCHES))))
        return Outcome(self._model_dir, self._record, self._record.is_complete(self._configuration))

    def _take_steps(self, batches: Iterator[Batch]) -> None:
        """Take steps until the batches end, or the watcher of any process wants to stop."""
        stopwatch = Stopwatch()
        for batch in stopwatch.waiting(batches):
            losses = self._trainer.step(batch)
            stopwatch.step_done()
            self._record = replace(self._record, step=self._trainer.n_steps)
            self._report(losses, stopwatch)
            is_due = time.monotonic() - self._last_validation >= self._configuration.throttle_secs
            wants_stop, is_due = self._ranks.any(self._watcher.wants_stop(), is_due, device=self._trainer.device)
            if self._is_checkpoint() or wants_stop:
                self._save()
            if wants_stop:
                return
            if self._is_checkpoint() and (is_due or self._is_last()) and not self._validate():
                return
            stopwatch.pause_done()

    def _batches(self) -> Iterator[Batch]:
        configuration, ranks = self._configuration, self._ranks
        steps = range(self._trainer.n_steps, configuration.train_max_steps)
        # On a CPU the cores are for the network.
        n_threads = 1 if self._trainer.device.type == "cpu" else min(8, os.cpu_count() or 1)
        return training_batches(
            self._data_set.training, steps, configuration.batch_size, ranks.rank, ranks.world_size, n_threads
        )

    def _lacks_validation(self) -> bool:
        """Whether to validate before the next step: the start of a fine-tuning, which may stay the best; and a
        checkpoint that was stopped before its validation."""
        if self._record.step == 0:
            return self._record.start_from is not None and self._record.best_loss is None
        return self._is_checkpoint() and self._record.validated_step != self._record.step

    def _is_last(self) -> bool:
        return self._record.step >= self._configuration.train_max_steps

    def _is_checkpoint(self) -> bool:
        step, interval = self._record.step, self._configuration.save_checkpoints_steps
        return self._is_last() or (step > 0 and step % interval == 0)

    def _report(self, losses: list[float], stopwatch: Stopwatch) -> None:
        """Report a step to the watcher, and write its losses where they are due."""
        step, n_steps = self._record.step, self._configuration.train_max_steps
        rate, wait = stopwatch.steps_per_second, stopwatch.data_wait
        self._watcher.step(StepReport(step, n_steps, sum(losses), rate, wait, (n_steps - step) / rate))
        if self._summaries is not None and (step % self._configuration.save_summary_steps == 0 or step == 1):
            self._summaries.training(step, self._by_stem(losses), rate, wait)

    def _by_stem(self, losses: list[float]) -> dict[str, float]:
        return dict(zip(self._configuration.instrument_list, losses, strict=True))

    def _save(self) -> None:
        """Save the state; and the model, until there is a best one."""
        if not self._ranks.is_first:
            return
        state.save(self._model_dir, self._trainer, self._record, self._configuration)
        if self._record.best_loss is None:
            save_network(self._model_dir, self._trainer.network, self._configuration)
        self._watcher.saved(self._record.step)

    def _validate(self) -> bool:
        """Compute the loss on the validation songs, and save the model if it is the best so far.

        Returns:
            False if a watcher wants to stop: then the validation is not finished.
        """
        sampler, ranks = self._data_set.validation, self._ranks
        if sampler is None:
            return True
        batch_size = max(1, self._configuration.batch_size // ranks.world_size)
        batches = validation_batches(sampler, batch_size, ranks.rank, ranks.world_size)
        losses = self._trainer.validate(batches, lambda: not self._watcher.wants_stop())
        self._last_validation = time.monotonic()
        if losses is None:
            return False
        loss, step = sum(losses), self._record.step
        is_best = isfinite(loss) and (self._record.best_loss is None or loss < self._record.best_loss)
        self._record = replace(self._record, validated_step=step)
        if is_best:
            self._record = replace(self._record, best_loss=loss, best_step=step)
        if self._summaries is None:
            return True
        self._summaries.validation(step, self._by_stem(losses))
        if self._summaries.takes_examples:
            first = next(validation_batches(sampler, 1))
            self._summaries.example(step, separate_example(first, self._trainer, self._configuration))
        if is_best:
            save_network(self._model_dir, self._trainer.network, self._configuration)
        state.save(self._model_dir, self._trainer, self._record, self._configuration)
        self._watcher.validated(step, loss, self._record.best_step)
        return True
