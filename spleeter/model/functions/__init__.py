"""Networks by name: from a configuration's `model.type` to the network it names.

A network is built by a builder, a function with this signature:

    builder(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> torch.nn.Module

A configuration may come from a stranger, so `model.type` reaches three kinds of code only:

    unet.softmax_unet     a public function that is defined in a module of this folder
    anything              if it is an entry point, group `spleeter.models`, of an installed package: "module:function"
    my_model.small        a function of a module that the user trusts by name, `my_package.my_model`, or by its file

No other module is imported. The network that a builder returns maps magnitudes (batch, channels, T, F), float32, to
stem magnitudes (stems, batch, channels, T, F) in the order of the instruments, and does not modify its input.
"""

import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isclass, isfunction, isroutine
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from torch import nn

from spleeter.configuration import Configuration
from spleeter.errors import ModelError
from spleeter.model.rules import ENTRY_POINTS, short_type
from spleeter.types import PathLike
from spleeter.utils.names import reason, short
from spleeter.utils.spelling import did_you_mean

__all__ = ["Builder", "InputShape", "build", "find_builder"]


@dataclass(frozen=True)
class InputShape:
    """Shape of a network's input without the batch axis: `n_channels`, `T` frames, `F` frequency bins."""

    n_channels: int
    T: int
    F: int


Builder: TypeAlias = Callable[[Sequence[str], Mapping[str, Any], InputShape], nn.Module]
"""(instruments, params, shape) -> network; see the module's docstring."""


def build(configuration: Configuration, trust: PathLike | Sequence[PathLike] = ()) -> nn.Module:
    """Build the network that a configuration describes, with fresh weights.

    Args:
        configuration: of the network.
        trust: modules, as for `find_builder`.

    Raises:
        ModelError: if `model.type` names no builder, or the builder fails or does not return an `nn.Module`.
    """
    model, builder = configuration.model, find_builder(configuration.model.type, trust)
    shape = InputShape(configuration.n_channels, configuration.T, configuration.F)
    try:
        network = builder(configuration.instrument_list, model.params, shape)
    except ModelError:
        raise
    except Exception as error:  # a user's own code can raise anything
        raise ModelError(
            f"model type {model.type!r} cannot be built with params {short(dict(model.params))}: "
            f"{type(error).__name__}: {reason(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"model type {model.type!r} built a {type(network).__name__}; it must return a torch.nn.Module"
        )
    return network


def find_builder(model_type: str, trust: PathLike | Sequence[PathLike] = ()) -> Builder:
    """Look up the builder that a configuration's `model.type` names.

    Args:
        model_type: a dotted name; see the module's docstring.
        trust: the user's own modules, whose code may be run: dotted names, or paths of Python files. A file
            `folder/my_model.py` is the module `my_model`.

    Raises:
        ModelError: if there is no such builder, or its module cannot be imported.
    """
    path, _, name = short_type(model_type).rpartition(".")
    trusted = [os.fspath(code) for code in ([trust] if isinstance(trust, str | Path) else trust)]
    if path in {info.name for info in pkgutil.iter_modules(__path__)}:
        return _built_in(path, name, model_type)
    if declared := list(entry_points(group=ENTRY_POINTS, name=model_type)):
        return _declared(declared, model_type)
    for code in trusted:
        if path and path == _module_name(code):
            return _trusted(code, name, model_type)
    known = sorted(_known_types())
    hint = did_you_mean(model_type, known).removeprefix("; ") or f"known types are {', '.join(known)}"
    module = path or "my_module"
    raise ModelError(
        f"no model type {model_type!r}: {hint}; a configuration runs no other code by itself, but if {module!r} is a "
        f"module of yours, allow it with --model-code {module.rpartition('.')[2]}.py, or in Python trust=[{module!r}]"
    )


def _built_in(path: str, name: str, model_type: str) -> Builder:
    """A function that is defined in a module of this folder; what the module has imported is out of reach."""
    try:
        module = import_module(f"{__name__}.{path}")
    except Exception as error:  # a user's own module can raise anything
        raise _import_error(f"{__name__}.{path}", model_type, error) from error
    builder = dict(_public_functions(module)).get(name)
    if builder is None:
        known = ", ".join(f"{path}.{function}" for function, _ in _public_functions(module)) or "none"
        raise ModelError(f"no model type {model_type!r}: the types of that module are {known}")
    return builder


def _public_functions(module: ModuleType) -> Iterator[tuple[str, Builder]]:
    for name, value in vars(module).items():
        if isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            yield name, value


def _declared(declared: Sequence[EntryPoint], model_type: str) -> Builder:
    """The builder that an installed package declares."""
    values = sorted({point.value for point in declared})
    if len(values) > 1:
        raise ModelError(
            f"model type {model_type!r} is declared by several installed packages, as {' and '.join(values)}: "
            "uninstall all but one"
        )
    try:
        builder = declared[0].load()
    except Exception as error:  # an installed package can raise anything
        raise _import_error(values[0], model_type, error) from error
    return _checked(builder, values[0], model_type)


def _trusted(code: str, name: str, model_type: str) -> Builder:
    """A function of a module that the user trusts."""
    try:
        module = _load_file(Path(code)) if code.endswith(".py") else import_module(code)
    except Exception as error:  # a user's own module can raise anything
        raise _import_error(code, model_type, error) from error
    builder = getattr(module, name, None)
    if builder is None:
        raise ModelError(f"no model type {model_type!r}: the module {code} has no {name!r}")
    home = getattr(builder, "__module__", None) if isroutine(builder) or isclass(builder) else None
    if home and home.partition(".")[0] != module.__name__.partition(".")[0]:
        raise ModelError(f"no model type {model_type!r}: the module {code} has {name!r} from {home} only: trust that")
    return _checked(builder, f"{code}, {name}", model_type)


def _module_name(code: str) -> str:
    return Path(code).stem if code.endswith(".py") else code


def _load_file(file: Path) -> ModuleType:
    """Run a Python file as a module. The file's folder does not join Python's path, as whatever lies there would."""
    spec = spec_from_file_location(f"spleeter_model_code_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = sys.modules[spec.name] = module_from_spec(spec)  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _import_error(code: str, model_type: str, error: Exception) -> ModelError:
    return ModelError(f"model type {model_type!r}: importing {code} failed: {type(error).__name__}: {reason(error)}")


def _checked(builder: object, place: str, model_type: str) -> Builder:
    if not callable(builder):
        raise ModelError(f"model type {model_type!r}: {place} is not callable: a builder is a function")
    return cast(Builder, builder)


def _known_types() -> Iterator[str]:
    """The builders in this folder, and those that installed packages declare."""
    for info in pkgutil.iter_modules(__path__):
        try:
            module = import_module(f"{__name__}.{info.name}")
        except Exception:  # a user's own module can raise anything; naming it reports the error
            continue
        for name, _ in _public_functions(module):
            yield f"{info.name}.{name}"
    yield from entry_points(group=ENTRY_POINTS).names
