"""The optimizers, against TensorFlow's formulas in NumPy, with gradients from large to smaller than epsilon."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from spleeter.training.optimizers import build_optimizer

RATE, N_STEPS = 0.01, 7
GENERATOR = np.random.default_rng(1)
START = np.zeros((3, 4))
GRADIENTS = GENERATOR.standard_normal((N_STEPS, 3, 4)) * 10.0 ** -np.arange(0, 12).reshape(3, 4)
"""The last ones are of the size at which the two ways of adding Adam's epsilon differ."""


def adam() -> Iterator[np.ndarray]:
    """tf.compat.v1.train.AdamOptimizer: beta1 0.9, beta2 0.999, epsilon 1e-8, "epsilon hat"."""
    value, first, second = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for step, gradient in enumerate(GRADIENTS, 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value = value - RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * first / (np.sqrt(second) + 1e-8)
        yield value


def sgd() -> Iterator[np.ndarray]:
    """tf.compat.v1.train.GradientDescentOptimizer."""
    yield from START - RATE * np.cumsum(GRADIENTS, axis=0)


def adadelta() -> Iterator[np.ndarray]:
    """tf.compat.v1.train.AdadeltaOptimizer: learning_rate 0.001, rho 0.95, epsilon 1e-8."""
    value, squares, updates = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for gradient in GRADIENTS:
        squares = 0.95 * squares + 0.05 * gradient**2
        update = np.sqrt(updates + 1e-8) / np.sqrt(squares + 1e-8) * gradient
        updates = 0.95 * updates + 0.05 * update**2
        value = value - 0.001 * update
        yield value


@pytest.mark.parametrize(("name", "oracle"), [("Adam", adam), ("SGD", sgd), ("Adadelta", adadelta)])
def test_steps_are_tensorflows(name: str, oracle: Callable[[], Iterator[np.ndarray]]) -> None:
    parameter = nn.Parameter(torch.tensor(START))
    optimizer = build_optimizer(name, [parameter], RATE)
    for gradient, expected in zip(GRADIENTS, oracle(), strict=True):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose((parameter.detach() - torch.tensor(START)).numpy(), expected - START, rtol=1e-6)
