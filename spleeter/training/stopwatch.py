"""How fast steps follow each other, and what share of their time no batch was there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_N_STEPS = 50
"""That the figures are of: enough to be calm, few enough to follow."""


class Stopwatch:
    """Times the last steps: between `waiting` giving a batch and `step_done`, and the wait before it.

    What is done between `step_done` and `pause_done`, such as saving and validating, is not counted.
    """

    def __init__(self) -> None:
        self._waits: deque[float] = deque(maxlen=_N_STEPS)
        self._steps: deque[float] = deque(maxlen=_N_STEPS)
        self._since = time.perf_counter()

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield batches, and note how long each was waited for."""
        for batch in batches:
            self._waits.append(self._lap())
            yield batch

    def step_done(self) -> None:
        """The step with the last batch is done."""
        self._steps.append(self._lap())

    def pause_done(self) -> None:
        """Forget the time since the step."""
        self._lap()

    @property
    def steps_per_second(self) -> float:
        """Of the last steps, waits included."""
        return len(self._steps) / (sum(self._steps) + sum(self._waits))

    @property
    def data_wait(self) -> float:
        """The share of the last steps' time in which a batch was waited for."""
        return sum(self._waits) / (sum(self._steps) + sum(self._waits))

    def _lap(self) -> float:
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap
