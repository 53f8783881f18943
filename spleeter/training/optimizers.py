"""TensorFlow's optimizers, with the defaults that they had in the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

from torch import nn
from torch.optim import SGD, Adadelta, Adam, Optimizer

__all__ = ["TensorFlowAdam", "build_optimizer"]

_BETAS = 0.9, 0.999
_EPSILON = 1e-8

_ADADELTA_RATE, _ADADELTA_DECAY = 0.001, 0.95
"""TensorFlow's; torch's own defaults are 1 and 0.9."""


class TensorFlowAdam(Adam):
    """Adam as in section 2 of Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    There the epsilon is added to the root of the second moment before bias correction. torch adds it after, as the
    paper's algorithm 1 does; in the first step that makes it 32 times smaller, which matters where gradients are as
    small as it is.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        super().__init__(parameters, lr=rate, betas=_BETAS, eps=_EPSILON, fused=True)

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step. All parameters that have been updated must have been updated equally often."""
        n_steps = next((float(state["step"]) for state in self.state.values() if "step" in state), 0.0)
        for group in self.param_groups:
            group["eps"] = _EPSILON / sqrt(1 - _BETAS[1] ** (n_steps + 1))
        return super().step(closure)


def build_optimizer(name: str, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
    """The optimizer that a configuration names. Adadelta takes its own rate, 0.001, as the original's does.

    Args:
        name: Adam, SGD or Adadelta.
        parameters: that it updates.
        rate: the configuration's learning_rate.
    """
    if name == "Adadelta":
        return Adadelta(parameters, lr=_ADADELTA_RATE, rho=_ADADELTA_DECAY, eps=_EPSILON)
    if name == "SGD":
        return SGD(parameters, lr=rate)
    return TensorFlowAdam(parameters, rate)
