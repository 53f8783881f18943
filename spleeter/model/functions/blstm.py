"""One bidirectional LSTM network for each instrument, from magnitudes to magnitudes.

After Uhlich et al., "Improving music source separation based on deep neural networks through data augmentation and
network blending", ICASSP 2017: the magnitudes of each frame are one vector, three bidirectional layers run over the
frames, and a dense layer gives the stem's magnitudes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.model.functions import InputShape
from spleeter.model.rules.blstm import DEFAULT_UNITS, N_LAYERS

__all__ = ["BLSTM", "StemNetworks", "blstm"]


def blstm(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    """Build recurrent networks, one for each instrument.

    Args:
        instruments: names of the stems, one network each.
        params: `lstm_units`, units of each layer and direction (250).
        shape: fixes the channels and F; T may be anything.
    """
    n_units = params.get("lstm_units") or DEFAULT_UNITS
    return StemNetworks(_blstm(shape.n_channels * shape.F, n_units) for _ in instruments)


class StemNetworks(nn.Module):
    """Networks that estimate one stem each, (batch, channels, T, F) -> the same shape."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F)."""
        return torch.stack([network(magnitudes) for network in self.networks])


class BLSTM(nn.Module):
    """A bidirectional LSTM over frames and a dense layer.

    Args:
        lstm: (batch, T, F × channels) -> (batch, T, features), the channels of a bin side by side.
        dense: (batch, T, features) -> (batch, T, F × channels).
    """

    def __init__(self, lstm: nn.LSTM, dense: nn.Linear) -> None:
        super().__init__()
        self.lstm = lstm
        self.dense = dense

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> one stem's magnitudes (batch, channels, T, F)."""
        frames = magnitudes.permute(0, 2, 3, 1)  # (batch, T, F, channels)
        features, _ = self.lstm(frames.flatten(2))  # (batch, T, 2 × units)
        stem: Tensor = self.dense(features).relu()  # (batch, T, F × channels)
        return stem.reshape(frames.shape).permute(0, 3, 1, 2)  # (batch, channels, T, F)


def _blstm(n_features: int, n_units: int) -> BLSTM:
    lstm = nn.LSTM(n_features, n_units, N_LAYERS, batch_first=True, bidirectional=True)
    dense = nn.Linear(2 * n_units, n_features)
    _initialise(lstm, dense)
    return BLSTM(lstm, dense)


@torch.no_grad()
def _initialise(lstm: nn.LSTM, dense: nn.Linear) -> None:
    """Initialise as Keras does: he_uniform kernels, orthogonal recurrent kernels, biases 0, of the forget gate 1."""
    for name, parameter in lstm.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
        if name.startswith("bias_ih"):
            parameter[lstm.hidden_size : 2 * lstm.hidden_size] = 1  # the gates are input, forget, cell, output
    nn.init.kaiming_uniform_(dense.weight, nonlinearity="relu")
    nn.init.zeros_(dense.bias)
