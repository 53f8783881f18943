"""From a descriptor to the keys of a configuration, not yet checked.

A descriptor is an embedded name (`spleeter:2stems`), the path of a JSON file or of a model folder, or a mapping.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from spleeter.configuration.messages import show
from spleeter.errors import ConfigurationError
from spleeter.utils.names import display_name, reason, short
from spleeter.utils.plain_file import read_at_most, read_plain
from spleeter.utils.spelling import did_you_mean

__all__ = ["EMBEDDED_PREFIX", "MODEL_FOLDER_FILE", "embedded_names", "read"]

EMBEDDED_PREFIX = "spleeter:"
MODEL_FOLDER_FILE = "configuration.json"
"""The configuration's file in a model folder of this package, beside the weights."""

_RESOURCES = "spleeter.resources"
_MAX_SIZE = 2**20  # bytes; one with every key has 2,000


def embedded_names() -> tuple[str, ...]:
    """The names that can follow `spleeter:`, sorted."""
    return tuple(sorted(Path(r.name).stem for r in files(_RESOURCES).iterdir() if r.name.endswith(".json")))


def read(descriptor: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read the keys that a descriptor stands for.

    Returns:
        Their source, for messages, and the keys as written; but a model folder is its own `model_dir`, and a file's
        `model_dir` becomes absolute as `Configuration.load` says.

    Raises:
        ConfigurationError: if the descriptor stands for nothing, or for no JSON object.
    """
    if isinstance(descriptor, str) and descriptor.startswith(EMBEDDED_PREFIX):
        return descriptor, _parse(_embedded_text(descriptor), descriptor)
    if isinstance(descriptor, str | Path):
        return _read_path(Path(descriptor))
    if isinstance(descriptor, Mapping) and all(isinstance(key, str) for key in descriptor):
        return "the given mapping", dict(descriptor)
    raise ConfigurationError(
        f"cannot load a configuration from {show(descriptor)}: "
        f"give {EMBEDDED_PREFIX}NAME, a path, or a mapping whose keys are text"
    )


def _embedded_text(descriptor: str) -> str:
    name, names = descriptor.removeprefix(EMBEDDED_PREFIX), embedded_names()
    if name not in names:
        known = ", ".join(EMBEDDED_PREFIX + known for known in names)
        hint = did_you_mean(name, names, EMBEDDED_PREFIX)
        raise ConfigurationError(f"no embedded configuration {descriptor!r}: there are {known}{hint}")
    return files(_RESOURCES).joinpath(f"{name}.json").read_text(encoding="utf-8")


def _read_path(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a JSON file or a model folder."""
    file, is_folder = path, False
    try:
        if is_folder := path.is_dir():
            file = path / MODEL_FOLDER_FILE
        text = _read_bytes(file, is_folder).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(_not_found(path, is_folder)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{display_name(file)}: byte {error.start} is not UTF-8; save as UTF-8") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read configuration file {display_name(file)}: {reason(error)}") from error
    values = _parse(text, display_name(file))
    if is_folder:
        values["model_dir"] = str(path.resolve())
    elif isinstance(model_dir := values.get("model_dir"), str) and model_dir:
        values["model_dir"] = _resolved_model_dir(file, model_dir)
    return display_name(file), values


def _read_bytes(file: Path, is_in_folder: bool) -> bytes:
    """A pipe is read if the user names it, as a shell does in `-p <(...)`, but not if a folder holds it."""
    if is_in_folder:
        return read_plain(file, _MAX_SIZE)
    with file.open("rb") as stream:
        return read_at_most(stream, _MAX_SIZE)


def _not_found(path: Path, is_folder: bool) -> str:
    if is_folder:
        return f"folder {display_name(path)} holds no {MODEL_FOLDER_FILE}: give a model folder or a JSON file"
    hint = did_you_mean(path.name, embedded_names(), EMBEDDED_PREFIX)
    if path.parent == Path() and not path.suffix:
        known = ", ".join(EMBEDDED_PREFIX + name for name in embedded_names())
        return f"no model {display_name(path)}: there are {known}, JSON files and folders of trained models{hint}"
    return f"configuration file {display_name(path)} not found{hint}"


def _resolved_model_dir(file: Path, model_dir: str) -> str:
    """A relative `model_dir` made absolute if it lies beside `file`, or is a model's in the working directory."""
    beside, here = file.parent / model_dir, Path(model_dir)
    try:
        if not here.is_absolute():
            if beside.is_dir():
                return str(beside.resolve())
            if (here / MODEL_FOLDER_FILE).is_file():  # where `spleeter train` has put it
                return str(here.resolve())
    except OSError:
        pass  # too long a name, or out of reach: no usable folder is there
    return model_dir


def _parse(text: str, source: str) -> dict[str, Any]:
    """Parse a JSON text that holds one object."""
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{source}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{source}: must hold one JSON object, {{...}}, not {show(values)}")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"key {short(key)} is written twice; keep one")
        values[key] = value
    return values
