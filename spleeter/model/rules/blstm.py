"""Rules of the recurrent network, `blstm.blstm`."""

from collections.abc import Mapping
from typing import Any

from spleeter.model.rules import NetworkRules
from spleeter.utils.json_values import PositiveWhole, StrictModel

__all__ = ["DEFAULT_UNITS", "N_LAYERS", "RULES", "BLSTMParams"]

N_LAYERS = 3
"""Bidirectional layers."""

DEFAULT_UNITS = 250
"""Units of each layer and direction."""


class BLSTMParams(StrictModel):
    """The params of the recurrent network."""

    lstm_units: PositiveWhole | None = None


def _n_values(params: Mapping[str, Any], n_channels: int, T: int, F: int) -> tuple[int, int]:
    """Four gates of each layer and direction, and the dense layer; the features of every frame from each layer."""
    n_units, n_features = params.get("lstm_units") or DEFAULT_UNITS, n_channels * F
    n_inputs = n_features + 2 * n_units * (N_LAYERS - 1)
    n_weights = 2 * 4 * n_units * (n_inputs + N_LAYERS * n_units) + 2 * n_units * n_features
    return n_weights, 2 * 4 * n_units * T * N_LAYERS


RULES = NetworkRules(params=BLSTMParams, n_values=_n_values)
