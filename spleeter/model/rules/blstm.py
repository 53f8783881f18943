"""Rules of the recurrent network, `blstm.blstm`."""

from spleeter.model.rules import NetworkRules
from spleeter.utils.json_values import PositiveWhole, StrictModel

__all__ = ["N_LAYERS", "RULES", "BLSTMParams"]

N_LAYERS = 3
"""Bidirectional layers."""


class BLSTMParams(StrictModel):
    """The params of the recurrent network."""

    lstm_units: PositiveWhole | None = None


RULES = NetworkRules(params=BLSTMParams)
