"""The saved state of a training: all that is needed to resume it as if it had never stopped, in one file.

    training/state.safetensors     weights, the optimizer's moments; in its metadata the steps taken and the best loss

The state of random generators is no part of it: all that is drawn depends on the seed and the step alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from spleeter.backends.torch.weights import write_tensors
from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError, TrainingError
from spleeter.training.step import Trainer
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason, short

__all__ = ["STATE_FILE", "TRAINING_FOLDER", "Record", "exists", "read_record", "resume", "save"]

TRAINING_FOLDER = "training"
"""In the model's folder: what only training needs."""

STATE_FILE = "state.safetensors"

_MOMENTS = frozenset({"step", "exp_avg", "exp_avg_sq", "square_avg", "acc_delta"})
"""What the optimizers keep of each parameter, by torch's names: a number, or a tensor of the parameter's shape."""

_FIXED_KEYS = (
    "instrument_list", "model", "sample_rate", "n_channels", "frame_length", "frame_step", "T", "F", "optimizer",
)  # fmt: skip
"""A training cannot be resumed with another value of these."""

_FREE_KEYS = ("model_dir", "train_csv", "validation_csv", "training_cache", "validation_cache", "MWF",
              "separation_exponent", "mask_extension")  # fmt: skip
"""Paths, and settings of separation: they do not matter to a training."""


@dataclass(frozen=True)
class Record:
    """The progress of a training.

    Args:
        step: steps taken.
        best_loss: the least validation loss; None before the first validation.
        best_step: the step after which it was found.
        validated_step: the step after which the last validation was made.
        start_from: the model whose weights it started from; None for random ones.
        n_excerpts: of the training songs; with another number, other segments are drawn.
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    validated_step: int = 0
    start_from: str | None = None
    n_excerpts: int = 0

    def is_complete(self, configuration: Configuration) -> bool:
        """Whether all steps were taken, and the last of them validated."""
        is_validated = configuration.validation_csv is None or self.validated_step == self.step
        return self.step >= configuration.train_max_steps and is_validated


def save(model_dir: Path, trainer: Trainer, record: Record, configuration: Configuration) -> None:
    """Write the state of a training atomically, over the one before.

    Raises:
        CheckpointError: if it cannot be written.
    """
    notes = {
        "record": json.dumps(asdict(record)),
        "configuration": json.dumps(configuration.to_dict()),
        "scaler": json.dumps(trainer.scaler.state_dict()),
    }
    write_tensors(_file(model_dir), dict(_tensors(trainer)), notes)


def exists(model_dir: Path) -> bool:
    """Whether a training has been saved in this folder."""
    return _file(model_dir).is_file()


def read_record(model_dir: Path) -> Record:
    """The progress of the training in a folder. Raises CheckpointError if its state is damaged."""
    with _open(model_dir) as stored:
        return Record(**json.loads((stored.metadata() or {})["record"]))


def resume(model_dir: Path, trainer: Trainer, configuration: Configuration) -> Record:
    """Load the saved state of a training into a trainer; returns its progress.

    Raises:
        TrainingError: if it was saved with another network, optimizer, sample rate or STFT.
        CheckpointError: if it is damaged.
    """
    with _open(model_dir) as stored:
        notes = stored.metadata() or {}
        record = Record(**json.loads(notes["record"]))
        before, scaler = json.loads(notes["configuration"]), json.loads(notes["scaler"])
        _check_configuration(model_dir, before, configuration)
        shapes = {key: tuple(stored.get_slice(key).get_shape()) for key in stored.keys()}  # noqa: SIM118
        _check_shapes(shapes, trainer)
        tensors = {key: stored.get_tensor(key) for key in shapes}
    _restore(trainer, tensors)
    if scaler:  # empty if it was saved in a precision without loss scaling
        trainer.scaler.load_state_dict(scaler)
    trainer.n_steps = record.step
    return record


@contextmanager
def _open(model_dir: Path) -> Iterator[Any]:
    """The opened state file; errors within this context become a CheckpointError."""
    file = _file(model_dir)
    try:
        with safe_open(file, framework="pt") as stored:
            yield stored
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{display_name(file)} is damaged or cannot be read ({reason(error)}): "
            f"remove the folder {display_name(model_dir)} to start anew"
        ) from error


def _file(model_dir: Path) -> Path:
    return model_dir / TRAINING_FOLDER / STATE_FILE


def _tensors(trainer: Trainer) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in trainer.network.state_dict().items():
        yield f"network.{key}", tensor
    for index, moments in trainer.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            yield f"optimizer.{index}.{name}", torch.as_tensor(value)


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], trainer: Trainer) -> None:
    """Compare the shapes of a state's tensors with the trainer's, before they are read: they may be of any size.

    Raises:
        ValueError: if they are not those of this network and its optimizer.
    """
    weights = {f"network.{name}": tuple(tensor.shape) for name, tensor in trainer.network.state_dict().items()}
    parameters = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    if missing := weights.keys() - shapes.keys():
        raise ValueError(f"it lacks {short(min(missing))}")
    for key, shape in shapes.items():
        allowed = {weights[key]} if key in weights else set()
        kind, _, rest = key.partition(".")
        index, _, name = rest.partition(".")
        if kind == "optimizer" and name in _MOMENTS and index.isdecimal() and int(index) < len(parameters):
            allowed = {(), tuple(parameters[int(index)].shape)}
        if shape not in allowed:
            raise ValueError(f"{short(key)} of shape {short(shape)} is none of the network's or the optimizer's")


def _restore(trainer: Trainer, tensors: Mapping[str, Tensor]) -> None:
    weights: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "network":
            weights[rest] = tensor
        else:
            index, _, name = rest.partition(".")
            moments.setdefault(int(index), {})[name] = tensor
    trainer.network.load_state_dict(weights)
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    # Loaded moments are contiguous; new ones have the memory format of their parameter.
    for parameter, state in trainer.optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _check_configuration(model_dir: Path, stored: Mapping[str, Any], configuration: Configuration) -> None:
    now = configuration.to_dict()
    for key in _FIXED_KEYS:
        if stored.get(key) != now[key]:
            raise TrainingError(
                f"the training in {display_name(model_dir)} has {key} = {stored.get(key)}, but {now[key]} is asked "
                "for: give another model_dir to train another model"
            )
    for key, value in now.items():
        if key not in (*_FIXED_KEYS, *_FREE_KEYS) and stored.get(key) != value:
            logger.info("going on with %s = %s, which was %s before", key, value, stored.get(key))
