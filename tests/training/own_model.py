"""A user's own model: a gain for each stem and bin."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.model.functions import InputShape


class Gains(nn.Module):
    def __init__(self, n_stems: int, n_bins: int, start: float) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.full((n_stems, 1, 1, 1, n_bins), start))

    def forward(self, magnitudes: Tensor) -> Tensor:
        return self.gains * magnitudes


def gains(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    return Gains(len(instruments), shape.F, params["start"])
