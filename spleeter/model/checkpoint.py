"""A network's weights, in a folder beside the configuration that rebuilds it.

    model.safetensors, configuration.json      this package's own format: what `save` writes
    checkpoint, model.index, model.data-*      a TensorFlow checkpoint of the original package: read only

Loading assigns every weight once or fails as a whole: nothing missing, nothing left over, no shape adapted.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spleeter.configuration import MODEL_FOLDER_FILE, Configuration
from spleeter.errors import CheckpointError, ConfigurationError
from spleeter.model.functions import build, find_builder
from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle
from spleeter.model.tensorflow.names import Source, is_expendable, sources
from spleeter.utils.whole_file import write_whole

WEIGHTS_FILE = "model.safetensors"

_BATCH_COUNTER = "num_batches_tracked"
"""A count that torch's batch norm keeps besides its weights, and TensorFlow does not; nothing depends on it."""


class _WithoutInitialisation(TorchFunctionMode):
    """Within this context `torch.nn.init` leaves parameters as they are: all of them are about to be loaded."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else (kwargs or {})["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return function(*args, **(kwargs or {}))


class _Weight(NamedTuple):
    """What it is called where it is stored, and how to read it."""

    name: str
    read: Callable[[], Tensor]


def load_network(model_dir: Path, configuration: Configuration) -> nn.Module:
    """Build the network that a configuration describes, with the weights in a folder.

    Args:
        model_dir: a folder with weights in this package's own format or, if there are none, in TensorFlow's.
        configuration: decides what is built; the weights must fit.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        ModelError: if the network cannot be built.
        CheckpointError: if the weights are missing, damaged or made for another network.
    """
    with _WithoutInitialisation():
        network = build(configuration)
    if _has_own_weights(model_dir):
        _check_configuration(model_dir, configuration)
        _load_safetensors(network, model_dir / WEIGHTS_FILE)
    elif (prefix := find_bundle(model_dir)) is not None:
        _load_tensorflow(network, TensorFlowBundle(prefix), configuration)
    else:
        raise CheckpointError(
            f"no weights in {model_dir}, neither {WEIGHTS_FILE} nor a TensorFlow checkpoint: get the model again"
        )
    return network.eval()


def save(model_dir: Path, network: nn.Module, configuration: Configuration) -> None:
    """Write a network's weights and its configuration into a folder, which is made if need be.

    Each of the two files appears, or replaces the one before, as a whole.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write the model to {model_dir}: {error}") from error
    write_whole(model_dir / MODEL_FOLDER_FILE, configuration.to_json().encode(), CheckpointError)
    write_tensors(model_dir / WEIGHTS_FILE, network.state_dict())


def write_tensors(file: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Write tensors, and notes about them, into a safetensors file, which appears as a whole; its folder is made.

    Raises:
        CheckpointError: if it cannot be written.
    """
    # Cloned, because the format takes neither other memory layouts nor tensors that share memory.
    apart = {key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()}
    try:
        write_whole(file, lambda path: save_file(apart, path, dict(notes or {})), CheckpointError)
    except SafetensorError as error:
        raise CheckpointError(f"cannot write {file}: {error}") from error


def _has_own_weights(model_dir: Path) -> bool:
    try:
        return (model_dir / WEIGHTS_FILE).is_file()
    except OSError as error:
        raise CheckpointError(f"cannot read the model folder {model_dir}: {error.strerror}") from error


def _check_configuration(model_dir: Path, configuration: Configuration) -> None:
    """Compare what decides about a network's weights with what they were saved with."""
    try:
        stored = Configuration.load(model_dir)
    except ConfigurationError as error:
        raise CheckpointError(f"the weights in {model_dir} have no usable configuration: {error}") from error
    asked_for = _identity(configuration)
    for key, value in _identity(stored).items():
        if value != asked_for[key]:
            raise CheckpointError(
                f"the weights in {model_dir} were made with {key} = {value}, but {asked_for[key]} is asked for: "
                f"use the {MODEL_FOLDER_FILE} in that folder"
            )


def _identity(configuration: Configuration) -> dict[str, object]:
    values = configuration.to_dict()
    return {
        "instrument_list": values["instrument_list"],
        "n_channels": values["n_channels"],
        "model.type": values["model"]["type"],
        "model.params": values["model"]["params"],
    }


def _load_safetensors(network: nn.Module, path: Path) -> None:
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: _Weight(key, partial(file.get_tensor, key)) for key in file.keys()}  # noqa: SIM118
            _check_names(str(path), expected=network.state_dict(), found=weights)
            _assign(str(path), network, weights)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged or cannot be read ({error}): get the model again") from error


def _load_tensorflow(network: nn.Module, bundle: TensorFlowBundle, configuration: Configuration) -> None:
    place = f"the TensorFlow checkpoint {bundle.prefix}"
    named = sources(find_builder(configuration.model.type), len(configuration.instrument_list))
    if named is None:
        raise CheckpointError(
            f"{place} cannot be read as model type {configuration.model.type!r}, which TensorFlow never had: "
            f"save its weights as {WEIGHTS_FILE}"
        )
    used = {source.variable for source in named.values()}
    _check_names(place, used, [name for name in bundle.names if name in used or not is_expendable(name, used)])
    _assign(place, network, {key: _variable(bundle, source) for key, source in named.items()})


def _variable(bundle: TensorFlowBundle, source: Source) -> _Weight:
    return _Weight(source.variable, lambda: torch.tensor(source.transform(bundle.read(source.variable))))


def _check_names(place: str, expected: Iterable[str], found: Iterable[str]) -> None:
    expected, found = set(expected), set(found)
    if expected != found:
        differences = {"lacks": expected - found, "has the unexpected": found - expected}
        told = " and ".join(f"{verb} {_shortened(names)}" for verb, names in differences.items() if names)
        raise CheckpointError(f"{place} {told}: it belongs to another model; check instrument_list and model")


def _shortened(names: set[str]) -> str:
    first = ", ".join(sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def _assign(place: str, network: nn.Module, weights: Mapping[str, _Weight]) -> None:
    """Copy every weight into the network, one after the other so that one at a time is held."""
    for key, target in network.state_dict().items():  # these share memory with the network
        if key not in weights and key.endswith(_BATCH_COUNTER):
            continue
        weight = weights[key]
        value = weight.read()
        if (value.shape, value.dtype) != (target.shape, target.dtype):
            raise CheckpointError(
                f"{place}: {weight.name} is {_form(value)}, but the model's is {_form(target)}: "
                "it belongs to another model; check model.params, n_channels and F"
            )
        target.copy_(value)


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
