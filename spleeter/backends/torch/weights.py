"""Weights of a model folder <-> a torch network."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError
from spleeter.model import checkpoint
from spleeter.model.functions import build
from spleeter.types import PathLike

__all__ = ["load_network", "save_network", "write_tensors"]


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


def load_network(
    model_dir: Path, configuration: Configuration, trust: PathLike | Sequence[PathLike] = ()
) -> nn.Module:
    """Build the network that a configuration describes, with the weights in a folder.

    Args:
        model_dir: a folder with weights in this package's own format or, if there are none, in TensorFlow's.
        configuration: decides what is built; the weights must fit.
        trust: modules that may build it, besides the built-in and installed ones, as for `find_builder`.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        ModelError: if the network cannot be built.
        CheckpointError: if the weights are missing, damaged or made for another network.
    """
    with _WithoutInitialisation():
        network = build(configuration, trust)
    weights = checkpoint.open_weights(model_dir, configuration)
    targets = network.state_dict()  # these share memory with the network
    parameters = {name for name, _ in network.named_parameters()}
    weights.require(targets)
    for name, target in targets.items():  # one after the other, so that one at a time is held
        if name not in weights.names:
            continue  # a batch counter
        array = weights.read(name, tuple(target.shape), str(target.dtype).removeprefix("torch."))
        # torch warns about memory that it could write to and must not, so it gets a copy of that.
        value = torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)
        target.copy_(value if value.dtype == target.dtype else value.view(target.dtype))
        values = target if target.element_size() >= 4 else target.float()  # some functions take no type of 8 bits
        # Of a buffer that a network computes itself, such as an attention mask, an infinity may be meant.
        if not torch.isfinite(values).all() and (name in parameters or torch.isnan(values).any()):
            raise CheckpointError(f"{weights.place}: {name} holds NaN or infinite values: get the model again")
    return network.eval()


def save_network(model_dir: Path, network: nn.Module, configuration: Configuration) -> None:
    """Write a network's weights and its configuration into a folder, which is made if need be.

    Each of the two files appears, or replaces the one before, as a whole.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    checkpoint.save_model(model_dir, network.state_dict(), configuration, _save_tensors)


def write_tensors(file: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Write tensors, and notes about them, into a safetensors file, which appears as a whole; its folder is made.

    Raises:
        CheckpointError: if it cannot be written.
    """
    checkpoint.write_weights(file, tensors, notes, _save_tensors)


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, notes: Mapping[str, str]) -> None:
    # Cloned, because the format takes neither other memory layouts nor tensors that share memory.
    apart = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(apart, path, dict(notes))
