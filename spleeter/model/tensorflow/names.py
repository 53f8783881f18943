"""Which variable of the original package's checkpoints holds which weight of the networks here.

Keras numbers the layers of a kind through the whole graph, so an instrument's layers follow on those of the
instrument before: `conv2d`, `conv2d_1`, ... The first has no number.
"""

from collections.abc import Callable, Iterator, Set
from typing import NamedTuple, TypeAlias

import numpy as np

from spleeter.model.rules.blstm import N_LAYERS
from spleeter.model.rules.unet import N_DOWNSAMPLINGS as _DEPTH  # as many transposed convolutions

__all__ = ["Source", "is_expendable", "sources"]

_TRAINING_COUNTERS = frozenset({"global_step", "beta1_power", "beta2_power"})


class Source(NamedTuple):
    """The variable that holds a weight, and how its array becomes the weight's."""

    variable: str
    transform: Callable[[np.ndarray], np.ndarray]


_Sources: TypeAlias = Iterator[tuple[str, Source]]


def sources(short_type: str, n_instruments: int) -> dict[str, Source] | None:
    """The source of each weight of a network, by the name of the network's parameter.

    Args:
        short_type: the network, e.g. "unet.unet".
        n_instruments: how many of them are in the checkpoint.

    Returns:
        None for a network that the original package does not have.
    """
    stem_sources = _STEM_SOURCES.get(short_type)
    if stem_sources is None:
        return None
    return {f"networks.{stem}.{name}": source for stem in range(n_instruments) for name, source in stem_sources(stem)}


def is_expendable(variable: str, used: Set[str]) -> bool:
    """Whether a variable that no weight is read from may be in the checkpoint.

    These are the counters of training; an optimizer's moments of a weight, `conv2d/kernel/Adam`; and the U-Net's
    sixth batch norm, which was in the original's graph but led nowhere.
    """
    owner, _, _ = variable.rpartition("/")
    return variable in _TRAINING_COUNTERS or owner in used or _is_sixth_norm(variable)


def _is_sixth_norm(variable: str) -> bool:
    layer, _, _ = variable.partition("/")
    kind, _, number = layer.rpartition("_")
    return kind == "batch_normalization" and number.isdecimal() and int(number) % (2 * _DEPTH) == _DEPTH - 1


def _unet_sources(stem: int) -> _Sources:
    for depth in range(_DEPTH):
        yield from _affine(f"encoder.{depth}.conv", _layer("conv2d", (_DEPTH + 1) * stem + depth))
        yield from _affine(f"decoder.{depth}.conv", _layer("conv2d_transpose", _DEPTH * stem + depth))
        yield from _norm(f"decoder.{depth}.norm", 2 * _DEPTH * stem + _DEPTH + depth)
    for depth in range(1, _DEPTH):
        yield from _norm(f"encoder.{depth}.norm", 2 * _DEPTH * stem + depth - 1)
    yield from _affine("head", _layer("conv2d", (_DEPTH + 1) * stem + _DEPTH))


def _blstm_sources(stem: int) -> _Sources:
    for depth in range(N_LAYERS):
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            number = N_LAYERS * stem + depth
            layer = f"{_layer('bidirectional', number)}/{_layer(f'{direction}_cu_dnnlstm', number)}"
            index = f"l{depth}{suffix}"
            yield f"lstm.weight_ih_{index}", Source(f"{layer}/kernel", _kernel)
            yield f"lstm.weight_hh_{index}", Source(f"{layer}/recurrent_kernel", _kernel)
            yield f"lstm.bias_ih_{index}", Source(f"{layer}/bias", _first_half)
            yield f"lstm.bias_hh_{index}", Source(f"{layer}/bias", _second_half)
    # The layers that flatten a frame are counted too; those that undo it have names of their own.
    yield from _affine("dense", _layer("time_distributed", 2 * stem + 1))


_STEM_SOURCES: dict[str, Callable[[int], _Sources]] = {
    "unet.unet": _unet_sources,
    "unet.softmax_unet": _unet_sources,
    "blstm.blstm": _blstm_sources,
}


def _layer(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _affine(module: str, layer: str) -> _Sources:
    yield f"{module}.weight", Source(f"{layer}/kernel", _kernel)
    yield f"{module}.bias", Source(f"{layer}/bias", _unchanged)


def _norm(module: str, number: int) -> _Sources:
    layer = _layer("batch_normalization", number)
    yield f"{module}.weight", Source(f"{layer}/gamma", _unchanged)
    yield f"{module}.bias", Source(f"{layer}/beta", _unchanged)
    yield f"{module}.running_mean", Source(f"{layer}/moving_mean", _unchanged)
    yield f"{module}.running_var", Source(f"{layer}/moving_variance", _unchanged)


def _kernel(array: np.ndarray) -> np.ndarray:
    """(inputs, outputs) -> (outputs, inputs); for convolutions, transposed or not, (T, F, a, b) -> (b, a, T, F)."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _unchanged(array: np.ndarray) -> np.ndarray:
    return array


def _first_half(array: np.ndarray) -> np.ndarray:
    return array[: len(array) // 2] if array.ndim else array


def _second_half(array: np.ndarray) -> np.ndarray:
    return array[len(array) // 2 :] if array.ndim else array
