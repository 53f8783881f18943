"""The start of a training: a model folder of its own, and the first weights, random or another model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import nn

from spleeter.backends.torch.weights import load_network
from spleeter.configuration import Configuration
from spleeter.errors import TrainingError
from spleeter.model.checkpoint import WEIGHTS_FILE
from spleeter.model.functions import build
from spleeter.model.provider import ModelProvider
from spleeter.model.tensorflow.bundle import find_bundle
from spleeter.training import state
from spleeter.training.state import TRAINING_FOLDER
from spleeter.types import PathLike
from spleeter.utils.names import display_name, reason

__all__ = ["check_folder", "lock_folder", "pretrained_network", "random_network"]

_LOCK = ".lock"


def check_folder(model_dir: Path, start_from: str | None) -> None:
    """Refuse a folder in which this training must not write.

    Raises:
        TrainingError: if it holds a model that was not trained here, or a training that started from other weights.
    """
    if state.exists(model_dir):
        if start_from not in (None, state.read_record(model_dir).start_from):
            raise TrainingError(
                f"{display_name(model_dir)} holds a training already, which would be resumed: leave out the model to "
                "start from, or give another model_dir"
            )
    elif (model_dir / WEIGHTS_FILE).exists() or (model_dir.is_dir() and find_bundle(model_dir) is not None):
        raise TrainingError(
            f"{display_name(model_dir)} holds a model that was not trained here, and would be overwritten: give "
            f"another model_dir, and start from that model if you want to (--from {display_name(model_dir)})"
        )


@contextmanager
def lock_folder(model_dir: Path) -> Iterator[None]:
    """Within this context no other training writes to a folder. One that stays empty is removed at the end.

    Raises:
        TrainingError: if another training holds the lock, or the folder cannot be made.
    """
    folder = model_dir / TRAINING_FOLDER
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        name = display_name(model_dir)
        raise TrainingError(f"another training is using {name}: wait for it, or stop it") from error
    except OSError as error:
        raise TrainingError(f"cannot train in {display_name(model_dir)}: {reason(error)}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            if {path.name for path in folder.iterdir()} <= {_LOCK}:
                (folder / _LOCK).unlink(missing_ok=True)  # while it is held: nobody else can hold it then
                lock.release()
                folder.rmdir()
                model_dir.rmdir()
        lock.release()


def random_network(configuration: Configuration, trust: PathLike | Sequence[PathLike] = ()) -> nn.Module:
    """The configured network with weights drawn from the configured seed. Raises ModelError."""
    torch.manual_seed(configuration.random_seed)
    return build(configuration, trust)


def pretrained_network(
    descriptor: str, configuration: Configuration, trust: PathLike | Sequence[PathLike] = ()
) -> nn.Module:
    """The configured network with the weights of another model of the same architecture.

    Args:
        descriptor: of that model: `spleeter:2stems`, a JSON file, or a model's folder.
        configuration: of the training.
        trust: modules that may build either network, as for `find_builder`.

    Raises:
        ConfigurationError: if there is no such model.
        ModelError: if it cannot be loaded or downloaded.
        TrainingError: if it has another network or other instruments.
    """
    source = Configuration.load(descriptor)
    if source.instrument_list != configuration.instrument_list:
        raise TrainingError(
            f"{descriptor} separates {', '.join(source.instrument_list)}, but the configuration "
            f"{', '.join(configuration.instrument_list)}: a training starts from a model of the same instruments"
        )
    weights = load_network(Path(ModelProvider.default().get(source.model_dir)), source, trust).state_dict()
    network = build(configuration, trust)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise TrainingError(
            f"the weights of {descriptor} do not fit the configured network ({first}): use its model and params"
        ) from error
    return network
