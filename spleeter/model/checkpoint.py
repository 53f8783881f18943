"""A model's weights in a folder, as NumPy arrays by the names of the network's parameters.

    model.safetensors, configuration.json      this package's own format, which `save_model` writes
    checkpoint, model.index, model.data-*      a TensorFlow checkpoint of the original package: read only

A network takes every weight once or none at all: nothing missing, nothing left over, no shape adapted.
"""

from collections.abc import Callable, Iterable, KeysView, Mapping
from dataclasses import dataclass
from functools import partial
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from spleeter.configuration import MODEL_FOLDER_FILE, Configuration
from spleeter.errors import CheckpointError, ConfigurationError
from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle
from spleeter.model.tensorflow.names import Source, is_expendable, sources
from spleeter.utils.names import display_name, reason, short
from spleeter.utils.plain_file import open_plain
from spleeter.utils.weights_file import WEIGHTS_FILE, read_header
from spleeter.utils.whole_file import write_whole

__all__ = ["WEIGHTS_FILE", "Weights", "open_weights", "save_model", "write_weights"]

_BATCH_COUNTER = "num_batches_tracked"
"""A count that torch's batch norm keeps besides its weights, and TensorFlow does not; no output depends on it."""

_DTYPES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "C64": "complex64",
    "BOOL": "bool",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
"""The types of the safetensors format, as NumPy and torch name them."""

_BITS: dict[str, str] = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
"""The types that NumPy lacks -> unsigned integers of the same size."""

SaveFile: TypeAlias = Callable[[Mapping[str, Any], Path, Mapping[str, str]], None]
"""Writes tensors by name, and notes about them, into a safetensors file."""


class _Stored(NamedTuple):
    """A weight where it is stored: its name there, and how to read it."""

    name: str
    describe: Callable[[], tuple[tuple[int, ...], str]]
    """Returns the shape and the name of the type, which NumPy may lack, and reads nothing of the array."""
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Weights:
    """A model's weights by the names of the network's parameters; each is read when it is asked for.

    Attributes:
        place: the file or checkpoint, for messages.
        stored: each weight by its parameter's name.
    """

    place: str
    stored: Mapping[str, _Stored]

    @property
    def names(self) -> KeysView[str]:
        """The names of the parameters that there is a weight for."""
        return self.stored.keys()

    def require(self, names: Iterable[str]) -> None:
        """Raise CheckpointError unless these are the weights that are there; batch counters may be missing."""
        _check_names(
            self.place,
            expected={name for name in names if not name.endswith(_BATCH_COUNTER)},
            found={name for name in self.names if not name.endswith(_BATCH_COUNTER)},
        )

    def read(self, name: str, shape: tuple[int, ...] | None = None, dtype: str = "float32") -> np.ndarray:
        """Read a weight.

        Args:
            name: of the parameter, one of `names`.
            shape: that the weight must have, as torch orders its axes; None to take it as it is, of any type.
            dtype: that the weight must have, by its name in NumPy or torch.

        Returns:
            The array, which may be read-only. Of a type that NumPy lacks, such as bfloat16, it has the bits, as
            unsigned integers of the same size.

        Raises:
            CheckpointError: if it is damaged, or of another shape or type. It is not read then, whatever its size.
        """
        stored = self.stored[name]
        found = stored.describe()
        if shape is not None and found != (shape, dtype):
            raise CheckpointError(
                f"{self.place}: {stored.name} is {found[0]} {found[1]}, but the model's is {shape} {dtype}: "
                "it belongs to another model; check model.params, n_channels and F"
            )
        return stored.read()


def open_weights(model_dir: Path, configuration: Configuration) -> Weights:
    """Open the weights in a folder: those in this package's own format or, if there are none, in TensorFlow's.

    Args:
        model_dir: the folder.
        configuration: of the network that they are for; they must have been made for its type, params, channels and
            instruments.

    Raises:
        CheckpointError: if the weights are missing, damaged or made for another network.
    """
    file = model_dir / WEIGHTS_FILE
    try:
        is_own = file.is_file()
    except OSError as error:
        raise CheckpointError(f"cannot read the model folder {display_name(model_dir)}: {reason(error)}") from error
    if is_own:
        _check_configuration(model_dir, configuration)
        return _open_safetensors(file)
    if (prefix := find_bundle(model_dir)) is not None:
        return _open_tensorflow(TensorFlowBundle(prefix), configuration)
    raise CheckpointError(
        f"no weights in {display_name(model_dir)}, neither {WEIGHTS_FILE} nor a TensorFlow checkpoint: "
        "get the model again"
    )


def _check_configuration(model_dir: Path, configuration: Configuration) -> None:
    """Compare the keys that decide about a network's weights with those that they were saved with."""
    try:
        stored = Configuration.load(model_dir)
    except ConfigurationError as error:
        raise CheckpointError(
            f"the weights in {display_name(model_dir)} have no usable configuration: {error}"
        ) from error
    expected = _identity(configuration)
    for key, value in _identity(stored).items():
        if value != expected[key]:
            raise CheckpointError(
                f"the weights in {display_name(model_dir)} were made with {key} = {short(value)}, but "
                f"{short(expected[key])} is asked for: use the {MODEL_FOLDER_FILE} in that folder"
            )


def _identity(configuration: Configuration) -> dict[str, object]:
    values = configuration.to_dict()
    return {
        "instrument_list": values["instrument_list"],
        "n_channels": values["n_channels"],
        "model.type": values["model"]["type"],
        "model.params": values["model"]["params"],
    }


def _open_safetensors(file: Path) -> Weights:
    """Map a file into memory, so that its arrays are read, without a copy, as they are used.

    The safetensors library reads no bfloat16 into NumPy arrays, and the others with a copy.
    """
    try:
        header, start = read_header(file)
        with open_plain(file) as stream:
            data = mmap(stream.fileno(), 0, access=ACCESS_COPY)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{display_name(file)} is damaged or cannot be read ({reason(error)}): get the model again"
        ) from error

    def describe(name: str) -> tuple[tuple[int, ...], str]:
        entry = header[name]
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise CheckpointError(
                f"{display_name(file)}: {short(name)} is of the unsupported type {entry['dtype']}: save it as float32"
            )
        return tuple(entry["shape"]), dtype

    def read(name: str) -> np.ndarray:
        shape, dtype = describe(name)
        try:
            return np.ndarray(shape, _BITS.get(dtype, dtype), data, start + header[name]["data_offsets"][0])
        except ValueError as error:  # of no values, but too many for NumPy along another axis
            raise CheckpointError(
                f"{display_name(file)}: {short(name)} has the impossible shape {short(shape)}"
            ) from error

    return Weights(
        display_name(file), {name: _Stored(name, partial(describe, name), partial(read, name)) for name in header}
    )


def _open_tensorflow(bundle: TensorFlowBundle, configuration: Configuration) -> Weights:
    place = f"the TensorFlow checkpoint {display_name(bundle.prefix)}"
    by_parameter = sources(configuration.model.short_type, len(configuration.instrument_list))
    if by_parameter is None:
        raise CheckpointError(
            f"{place} cannot be read as model type {configuration.model.type!r}, which TensorFlow never had: "
            f"save its weights as {WEIGHTS_FILE}"
        )
    used = {source.variable for source in by_parameter.values()}
    _check_names(place, used, {name for name in bundle.names if name in used or not is_expendable(name, used)})

    def describe(source: Source) -> tuple[tuple[int, ...], str]:
        array = source.transform(bundle.outline(source.variable))
        return array.shape, array.dtype.name

    def read(source: Source) -> np.ndarray:
        return source.transform(bundle.read(source.variable))

    return Weights(
        place,
        {
            name: _Stored(source.variable, partial(describe, source), partial(read, source))
            for name, source in by_parameter.items()
        },
    )


def _check_names(place: str, expected: set[str], found: set[str]) -> None:
    if expected != found:
        differences = {"lacks": expected - found, "has the unexpected": found - expected}
        listed = " and ".join(f"{verb} {_shortened(names)}" for verb, names in differences.items() if names)
        raise CheckpointError(f"{place} {listed}: it belongs to another model; check instrument_list and model")


def _shortened(names: set[str]) -> str:
    first = ", ".join(map(display_name, sorted(names)[:3]))
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def _save_arrays(arrays: Mapping[str, np.ndarray], path: Path, notes: Mapping[str, str]) -> None:
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    safetensors.numpy.save_file(contiguous, path, dict(notes))


def save_model(
    model_dir: Path, weights: Mapping[str, Any], configuration: Configuration, save_file: SaveFile = _save_arrays
) -> None:
    """Write a network's weights and its configuration into a folder, which is made if need be.

    Each of the two files appears, or replaces the one before, as a whole.

    Args:
        model_dir: the folder.
        weights: arrays by the names of the network's parameters.
        configuration: of the network.
        save_file: writes the weights; for tensors of a framework, the framework's own.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    write_whole(model_dir / MODEL_FOLDER_FILE, configuration.to_json().encode(), CheckpointError)
    write_weights(model_dir / WEIGHTS_FILE, weights, save_file=save_file)


def write_weights(
    file: Path,
    weights: Mapping[str, Any],
    notes: Mapping[str, str] | None = None,
    save_file: SaveFile = _save_arrays,
) -> None:
    """Write arrays, and notes about them, into a safetensors file, which appears as a whole; its folder is made.

    Raises:
        CheckpointError: if it cannot be written.
    """
    try:
        write_whole(file, lambda path: save_file(weights, path, notes or {}), CheckpointError)
    except SafetensorError as error:
        raise CheckpointError(f"cannot write {display_name(file)}: {error}") from error
