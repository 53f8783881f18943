"""Networks by name: from a configuration's `model.type` to the network it names.

A network is built by a builder, a function with this signature:

    builder(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> torch.nn.Module

`unet.softmax_unet` names the builder `softmax_unet` in the module `unet` of this folder, so a module put here adds
its builders. A full dotted path, `my_package.my_module.my_model`, names a builder anywhere else on Python's path.
The network that a builder returns maps magnitudes (batch, channels, T, F), float32, to stem magnitudes
(stems, batch, channels, T, F) in the order of the instruments, and does not modify its input.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import isfunction
from types import ModuleType
from typing import Any, TypeAlias, cast

from torch import nn

from spleeter.configuration import Configuration
from spleeter.errors import ModelError

__all__ = ["Builder", "InputShape", "build", "find_builder"]


@dataclass(frozen=True)
class InputShape:
    """Shape of a network's input without the batch axis: `n_channels`, `T` frames, `F` frequency bins."""

    n_channels: int
    T: int
    F: int


Builder: TypeAlias = Callable[[Sequence[str], Mapping[str, Any], InputShape], nn.Module]
"""(instruments, params, shape) -> network; see the module's docstring."""


def build(configuration: Configuration) -> nn.Module:
    """Build the network that a configuration describes, with fresh weights.

    Raises:
        ModelError: if `model.type` names no builder, or the builder fails or does not return an `nn.Module`.
    """
    model, builder = configuration.model, find_builder(configuration.model.type)
    shape = InputShape(configuration.n_channels, configuration.T, configuration.F)
    try:
        network = builder(configuration.instrument_list, model.params, shape)
    except ModelError:
        raise
    except Exception as error:  # a user's own code can raise anything
        raise ModelError(
            f"model type {model.type!r} cannot be built with params {dict(model.params)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"model type {model.type!r} built a {type(network).__name__}; it must return a torch.nn.Module"
        )
    return network


def find_builder(model_type: str) -> Builder:
    """Look up the builder that a dotted name means, first in this folder, then as a full path.

    Raises:
        ModelError: if there is none; it names the modules tried and the nearest known type.
    """
    path, _, name = model_type.rpartition(".")
    tried = [f"{__name__}.{path}", path] if path else []
    for module_path in tried:
        module = _import_or_none(module_path, model_type)
        if module is not None:
            return _get_builder(module, name, model_type)
    raise ModelError(
        _not_found(model_type, f"tried the modules {' and '.join(tried)}" if tried else "it has no module")
    )


def _import_or_none(path: str, model_type: str) -> ModuleType | None:
    """Import a module; None if there is no module of this name."""
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{path}.".startswith(f"{error.name}."):
            return None
        raise _import_error(path, model_type, error) from error
    except Exception as error:  # a user's own module can raise anything
        raise _import_error(path, model_type, error) from error


def _import_error(path: str, model_type: str, error: Exception) -> ModelError:
    return ModelError(
        f"model type {model_type!r}: importing the module {path} failed: {type(error).__name__}: {error}"
    )


def _get_builder(module: ModuleType, name: str, model_type: str) -> Builder:
    builder = getattr(module, name, None)
    if builder is None:
        raise ModelError(_not_found(model_type, f"the module {module.__name__} has no {name!r}"))
    if not callable(builder):
        raise ModelError(
            f"model type {model_type!r}: {module.__name__}.{name} is not callable: a builder is a function"
        )
    return cast(Builder, builder)


def _not_found(model_type: str, reason: str) -> str:
    known = sorted(_known_types())
    nearest = get_close_matches(model_type, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known types are {', '.join(known)}"
    return f"no model type {model_type!r}: {reason}; {hint}"


def _known_types() -> Iterator[str]:
    """The public functions of the modules in this folder."""
    for info in pkgutil.iter_modules(__path__):
        path = f"{__name__}.{info.name}"
        try:
            module = import_module(path)
        except Exception:  # a user's own module can raise anything; naming it reports the error
            continue
        for name, value in vars(module).items():
            if isfunction(value) and value.__module__ == path and not name.startswith("_"):
                yield f"{info.name}.{name}"
