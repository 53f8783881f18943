"""Progress of a training on the console: a progress bar on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Self

from spleeter.cli.console import console
from spleeter.cli.interruption import Interruption
from spleeter.cli.progress_bars import count_bar
from spleeter.training.monitoring.progress import StepReport, Watcher
from spleeter.utils.logging import logger

if TYPE_CHECKING:
    import rich.progress

__all__ = ["TrainingProgress"]

_SECONDS_BETWEEN_LINES = 30
"""Where stderr is no terminal."""


class TrainingProgress(Watcher):
    """Shows the progress of a training, and stops it after a signal. Use it as a context manager.

    Args:
        interruption: notes signals.
        is_shown: whether progress bars are shown: by one of several processes that train together.
    """

    def __init__(self, interruption: Interruption, is_shown: bool = True) -> None:
        self.has_begun = False
        self._interruption = interruption
        self._is_on_terminal = is_shown and console().is_terminal
        self._stack = ExitStack()
        self._bars: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._what = ""
        self._update_count: Callable[[int], None] = lambda done: None
        self._last_line = -inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def preparing(self, what: str, done: int, total: int) -> None:
        self._interruption.check()
        if what != self._what:
            self._what = what
            self._stack.close()
            if self._is_on_terminal:
                self._update_count = self._stack.enter_context(count_bar(what, total))
            logger.info("preparing %d %s", total, what)
        self._update_count(done)

    def begins(self, step: int, n_steps: int, device: str) -> None:
        self.has_begun = True
        self._stack.close()
        if self._is_on_terminal:
            self._bars = self._stack.enter_context(_step_bar())
            self._task = self._bars.add_task("step", total=n_steps, completed=step, status="")
        start = "from the beginning" if step == 0 else f"on from step {step}"
        logger.info("training %s to step %d, on %s", start, n_steps, device)

    def step(self, report: StepReport) -> None:
        status = (
            f"loss {report.loss:.5g}, {_rate(report.steps_per_second)}, data wait {report.data_wait:.1%}, "
            f"{timedelta(seconds=round(report.seconds_left))} left"
        )
        now = time.monotonic()
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=report.step, status=status)
        elif now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            logger.info("step %d of %d: %s", report.step, report.n_steps, status)

    def validated(self, step: int, loss: float, best_step: int) -> None:
        best = "the best so far, kept" if best_step == step else f"step {best_step} stays the best"
        logger.info("step %d: validation loss %.6g, %s", step, loss, best)

    def saved(self, step: int) -> None:
        logger.debug("step %d: saved", step)

    def wants_stop(self) -> bool:
        return self._interruption.received is not None


def _rate(steps_per_second: float) -> str:
    if steps_per_second >= 1:
        return f"{steps_per_second:.1f} steps/s"
    return f"{1 / steps_per_second:.1f} s/step"


def _step_bar() -> rich.progress.Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(bar_width=20)
    return Progress(*columns, TextColumn("{task.fields[status]}"), console=console(), transient=True)
