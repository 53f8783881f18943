"""How the original package's checkpoints call the weights of the networks here.

Keras numbers the layers of a kind through the whole graph, so an instrument's layers follow on those of the
instrument before: `conv2d`, `conv2d_1`, ... The first has no number.
"""

from collections.abc import Callable, Iterator, Set
from typing import NamedTuple, TypeAlias

import numpy as np

from spleeter.model.functions import Builder
from spleeter.model.functions.blstm import blstm
from spleeter.model.functions.unet import softmax_unet, unet

_DEPTH = 6
"""Strided convolutions of a U-Net, and transposed ones."""

_STEPS_OF_TRAINING = frozenset({"global_step", "beta1_power", "beta2_power"})


class Source(NamedTuple):
    """Where a weight comes from: a variable, and how its array becomes the weight's."""

    variable: str
    transform: Callable[[np.ndarray], np.ndarray]


_Named: TypeAlias = Iterator[tuple[str, Source]]


def sources(builder: Builder, n_instruments: int) -> dict[str, Source] | None:
    """Say where each weight of a network comes from; the network's key -> source.

    Returns:
        None for a builder that the original package does not have.
    """
    stem_sources = _STEM_SOURCES.get(builder)
    if stem_sources is None:
        return None
    return {f"networks.{stem}.{key}": source for stem in range(n_instruments) for key, source in stem_sources(stem)}


def is_expendable(variable: str, used: Set[str]) -> bool:
    """Whether a variable that is no weight may lie beside those that are used.

    These are the counters of training; what an optimizer keeps for a weight, `conv2d/kernel/Adam`; and the U-Net's
    sixth batch norm, which was in the original's graph but led nowhere.
    """
    owner, _, _ = variable.rpartition("/")
    return variable in _STEPS_OF_TRAINING or owner in used or _is_sixth_norm(variable)


def _is_sixth_norm(variable: str) -> bool:
    layer, _, _ = variable.partition("/")
    kind, _, number = layer.rpartition("_")
    return kind == "batch_normalization" and number.isdecimal() and int(number) % (2 * _DEPTH) == _DEPTH - 1


def _unet_sources(stem: int) -> _Named:
    for depth in range(_DEPTH):
        yield from _affine(f"encoder.{depth}.conv", _layer("conv2d", (_DEPTH + 1) * stem + depth))
        yield from _affine(f"decoder.{depth}.conv", _layer("conv2d_transpose", _DEPTH * stem + depth))
        yield from _norm(f"decoder.{depth}.norm", 2 * _DEPTH * stem + _DEPTH + depth)
    for depth in range(1, _DEPTH):
        yield from _norm(f"encoder.{depth}.norm", 2 * _DEPTH * stem + depth - 1)
    yield from _affine("head", _layer("conv2d", (_DEPTH + 1) * stem + _DEPTH))


def _blstm_sources(stem: int) -> _Named:
    for depth in range(3):
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            number = 3 * stem + depth
            layer = f"{_layer('bidirectional', number)}/{_layer(f'{direction}_cu_dnnlstm', number)}"
            place = f"l{depth}{suffix}"
            yield f"lstm.weight_ih_{place}", Source(f"{layer}/kernel", _kernel)
            yield f"lstm.weight_hh_{place}", Source(f"{layer}/recurrent_kernel", _kernel)
            yield f"lstm.bias_ih_{place}", Source(f"{layer}/bias", _first_half)
            yield f"lstm.bias_hh_{place}", Source(f"{layer}/bias", _second_half)
    # The layers that flatten a frame are counted too, those that unflatten it have names of their own.
    yield from _affine("dense", _layer("time_distributed", 2 * stem + 1))


_STEM_SOURCES: dict[Builder, Callable[[int], _Named]] = {
    unet: _unet_sources,
    softmax_unet: _unet_sources,
    blstm: _blstm_sources,
}


def _layer(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _affine(module: str, layer: str) -> _Named:
    yield f"{module}.weight", Source(f"{layer}/kernel", _kernel)
    yield f"{module}.bias", Source(f"{layer}/bias", _unchanged)


def _norm(module: str, number: int) -> _Named:
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
    return array.ravel()[: array.size // 2]


def _second_half(array: np.ndarray) -> np.ndarray:
    return array.ravel()[array.size // 2 :]
