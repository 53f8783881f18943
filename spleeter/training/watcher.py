"""Who is told how a training goes, and may stop it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepReport:
    """How far a training is.

    Args:
        step: steps taken, of `n_steps`.
        n_steps: where it ends.
        loss: of the last step.
        steps_per_second: of late.
        data_wait: share of the time, of late, in which no batch was there.
        seconds_left: to go, but for validations.
    """

    step: int
    n_steps: int
    loss: float
    steps_per_second: float
    data_wait: float
    seconds_left: float


class Watcher:
    """Told of everything, says nothing: override what you want to know."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """So many songs of `what` are at hand. May raise to stop."""

    def begins(self, step: int, n_steps: int, device: str) -> None:
        """The first step is to come."""

    def step(self, report: StepReport) -> None:
        """A step was taken."""

    def validated(self, step: int, loss: float, best_step: int) -> None:
        """The validation songs were tried; the best loss so far is that of `best_step`."""

    def saved(self, step: int) -> None:
        """All that is needed to go on from here is on disk."""

    def wants_stop(self) -> bool:
        """Whether to save and stop now; asked after every step."""
        return False
