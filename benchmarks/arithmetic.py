"""Operations of the networks, and the rate of a matrix product, which is about the best that a machine reaches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.clock import timer
from spleeter.configuration import Configuration
from spleeter.model.functions import build

_SIZE = 4096


def matrix_product(device: torch.device) -> Callable[[], float]:
    """A measurement of the GFLOP/s of multiplying two float32 matrices of 4096 × 4096."""
    a, b = torch.randn((2, _SIZE, _SIZE), device=device)
    out = torch.empty_like(a)
    seconds = timer(lambda: torch.mm(a, b, out=out), device, at_least=0.2)
    return lambda: 2e-9 * _SIZE**3 / seconds()


def network_gflop(configuration: Configuration) -> float:
    """GFLOP that the plain network needs for one segment of T frames and one stem, as torch counts them.

    The network that is prepared for inference needs about as many; its GFLOP/s are in terms of these.
    """
    with torch.device("meta"), torch.no_grad():
        network = build(configuration).eval()
        magnitudes = torch.empty((1, configuration.n_channels, configuration.T, configuration.F))
        with FlopCounterMode(display=False) as counter:
            network(magnitudes)
    return float(counter.get_total_flops()) / 1e9 / len(configuration.instrument_list)


def segment_seconds(configuration: Configuration) -> float:
    """Seconds of music in a segment of T frames."""
    return configuration.T * configuration.frame_step / configuration.sample_rate
