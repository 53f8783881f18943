"""The rules that a network sets for its configuration: which params, how many channels, which T and F.

A module here belongs to the module of the same name in spleeter.model.functions, and its `RULES` hold for every
network that is built there. A network without rules takes its params unchecked. Nothing here imports a network, so
checking a configuration loads no torch.
"""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from spleeter.utils.json_values import StrictModel

__all__ = ["ENTRY_POINTS", "NetworkRules", "find_rules", "short_type"]

ENTRY_POINTS = "spleeter.models"
"""The group of entry points by which installed packages declare networks: model type = "module:function"."""

_FUNCTIONS = "spleeter.model.functions."


def _no_values(params: Mapping[str, Any], n_channels: int, T: int, F: int) -> tuple[int, int]:
    return 0, 0


@dataclass(frozen=True)
class NetworkRules:
    """What a network demands of its configuration.

    Attributes:
        params: the params that it takes; one that is None is left to the network.
        size_multiple: T and F must be multiples of this.
        size_reason: why, for the message.
        n_channels: the numbers of channels that it takes; None if it takes any.
        channels_reason: why, for the message.
        takes_any_n_bins: whether the same weights work at every F that is a multiple of `size_multiple`.
        n_values: (params, n_channels, T, F) -> how many weights the network of one instrument has, about, and how
            many activations it holds at once for one segment.
    """

    params: type[StrictModel]
    size_multiple: int = 1
    size_reason: str = ""
    n_channels: tuple[int, ...] | None = None
    channels_reason: str = ""
    takes_any_n_bins: bool = False
    n_values: Callable[[Mapping[str, Any], int, int, int], tuple[int, int]] = _no_values

    def check_size(self, size: int) -> None:
        """Raise ValueError if `size`, a T or an F, is no multiple of `size_multiple`."""
        if size % self.size_multiple:
            raise ValueError(f"must be divisible by {self.size_multiple} {self.size_reason}".rstrip())

    def check_n_channels(self, n_channels: int) -> None:
        """Raise ValueError if the network does not take this number of channels."""
        if self.n_channels is not None and n_channels not in self.n_channels:
            raise ValueError(f"must be {' or '.join(map(str, self.n_channels))} {self.channels_reason}".rstrip())


def short_type(model_type: str) -> str:
    """A model type without the path of the built-in networks: spleeter.model.functions.unet.unet -> unet.unet."""
    return model_type.removeprefix(_FUNCTIONS)


def find_rules(model_type: str) -> NetworkRules | None:
    """The rules of the network that `model_type` names, as a short or a full dotted path; None if it has none."""
    module, _, _ = short_type(model_type).rpartition(".")
    if module not in {info.name for info in pkgutil.iter_modules(__path__)}:
        return None
    rules: NetworkRules = import_module(f"{__name__}.{module}").RULES
    return rules
