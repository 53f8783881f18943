"""A network of your own: two convolutions that estimate a mask for each stem."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.model.functions import InputShape


def small_conv(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    """Build the network; `params` may set `n_filters`, the channels between the convolutions (16)."""
    return SmallConv(len(instruments), shape.n_channels, params.get("n_filters", 16))


class SmallConv(nn.Module):
    """Softmax masks, which sum to 1 over the stems, times the mixture."""

    def __init__(self, n_stems: int, n_channels: int, n_filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, n_filters, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.Conv2d(n_filters, n_stems * n_channels, kernel_size=5, padding=2),
            nn.Unflatten(1, (n_stems, n_channels)),
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F)."""
        logits = self.layers(magnitudes.log1p())  # (batch, stems, channels, T, F)
        masks = torch.softmax(logits, dim=1).movedim(1, 0)  # (stems, batch, channels, T, F)
        return masks * magnitudes
