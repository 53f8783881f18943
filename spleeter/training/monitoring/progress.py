"""The progress of a training: measured by a stopwatch, reported to a watcher, which may stop it. Imports no torch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["StepReport", "Stopwatch", "Watcher"]

Item = TypeVar("Item")

_N_STEPS = 50
"""Steps that rates are averaged over: enough to be steady, few enough to follow changes."""


@dataclass(frozen=True)
class StepReport:
    """The progress of a training after a step.

    Args:
        step: steps taken, of `n_steps`.
        n_steps: where it ends.
        loss: of the last step.
        steps_per_second: mean of the last steps.
        data_wait: fraction of the last steps' time that was spent waiting for batches.
        seconds_left: estimated, without validations.
    """

    step: int
    n_steps: int
    loss: float
    steps_per_second: float
    data_wait: float
    seconds_left: float


class Watcher:
    """Callbacks of a training, which do nothing: override those of interest."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Excerpts of `done` of `total` songs are in the cache; `what` names the songs. May raise to stop."""

    def begins(self, step: int, n_steps: int, device: str) -> None:
        """The first step follows."""

    def step(self, report: StepReport) -> None:
        """A step was taken."""

    def validated(self, step: int, loss: float, best_step: int) -> None:
        """The loss on the validation songs was computed; the least so far is that of `best_step`."""

    def saved(self, step: int) -> None:
        """The state after this step is on disk."""

    def wants_stop(self) -> bool:
        """Whether to save and stop now; asked after every step."""
        return False


class Stopwatch:
    """Times the last steps: from a batch that `waiting` yields to `step_done`, and the wait for the batch.

    What is done between `step_done` and `pause_done`, such as saving and validating, does not count.
    """

    def __init__(self) -> None:
        self._waits: deque[float] = deque(maxlen=_N_STEPS)
        self._steps: deque[float] = deque(maxlen=_N_STEPS)
        self._since = time.perf_counter()

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield batches, and measure the wait for each."""
        for batch in batches:
            self._waits.append(self._lap())
            yield batch

    def step_done(self) -> None:
        """Call it after the step with the last batch."""
        self._steps.append(self._lap())

    def pause_done(self) -> None:
        """Leave out the time since the step."""
        self._lap()

    @property
    def steps_per_second(self) -> float:
        """Of the last steps, waits included."""
        return len(self._steps) / (sum(self._steps) + sum(self._waits))

    @property
    def data_wait(self) -> float:
        """The fraction of the last steps' time that was spent waiting for batches."""
        return sum(self._waits) / (sum(self._steps) + sum(self._waits))

    def _lap(self) -> float:
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap
