"""Magnitudes -> a picture: time to the right, frequency upwards, levels as colours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

RANGE = 80.0
"""Decibels from black to the brightest colour."""

MOST_ROWS = 512
"""Of a picture; where there are more bins, the mean of neighbours' powers is shown."""

_COLOURS = (
    (0, 0, 4),
    (29, 17, 71),
    (81, 18, 124),
    (131, 38, 129),
    (183, 55, 121),
    (230, 81, 98),
    (252, 137, 97),
    (254, 195, 136),
    (252, 253, 191),
)
"""Of matplotlib's map "magma", at equal distances from dark to bright: red, green, blue."""


def powers(magnitudes: Tensor) -> Tensor:
    """Magnitudes (channels, T, F) -> the mean of the channels' powers (T, at most `MOST_ROWS`); NaN counts as 0."""
    power = magnitudes.detach().cpu().nan_to_num().double().square().mean(dim=0)
    return avg_pool1d(power, -(-power.shape[-1] // MOST_ROWS), ceil_mode=True)


def heatmap(power: Tensor, loudest: float) -> Tensor:
    """Draw powers.

    Args:
        power: (T, rows), not negative.
        loudest: the power that the brightest colour stands for.

    Returns:
        uint8 (rows, T, red green blue), the lowest frequency in the last row.
    """
    decibels = 10 * (power / max(loudest, 1e-20)).clamp(min=1e-10).log10()
    shades = (1 + decibels / RANGE).clamp(0, 1).mul(255).round().long()
    return _colour_map()[shades.T.flip(0)]


def _colour_map() -> Tensor:
    """256 shades: uint8 (256, red green blue)."""
    colours = torch.tensor(_COLOURS, dtype=torch.float32)
    position = torch.linspace(0, len(colours) - 1, 256)
    left = position.long().clamp(max=len(colours) - 2)
    return torch.lerp(colours[left], colours[left + 1], (position - left)[:, None]).round().to(torch.uint8)
