"""All that a training needs to go on as if it had never stopped, in one file.

    training/state.safetensors     weights, the optimizer's moments; in its metadata the steps taken and the best loss

Random numbers need no keeping: all that is drawn depends on the seed and the step alone.
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
from spleeter.training.trainer import Trainer
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

TRAINING_FOLDER = "training"
"""In the model's folder: what only training needs."""

STATE_FILE = "state.safetensors"

_FIXED_KEYS = (
    "instrument_list", "model", "sample_rate", "n_channels", "frame_length", "frame_step", "T", "F", "optimizer",
)  # fmt: skip
"""With another value of these, it is another training."""

_FREE_KEYS = ("model_dir", "train_csv", "validation_csv", "training_cache", "validation_cache", "MWF",
              "separation_exponent", "mask_extension")  # fmt: skip
"""These say where things are, or what is done with the network later."""


@dataclass(frozen=True)
class Record:
    """How far a training has come.

    Args:
        step: how many were taken.
        best_loss: the least loss of a validation; None before the first.
        best_step: the one after which it was found.
        validated_step: the last one after which the validation songs were tried.
        start_from: the model whose weights it began with; None for fresh ones.
        n_excerpts: of the training songs; with other songs, other segments are drawn.
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    validated_step: int = 0
    start_from: str | None = None
    n_excerpts: int = 0


def save(model_dir: Path, trainer: Trainer, record: Record, configuration: Configuration) -> None:
    """Write the state of a training, whole or not at all, over the one before.

    Raises:
        CheckpointError: if it cannot be written.
    """
    notes = {
        "record": json.dumps(asdict(record)),
        "configuration": json.dumps(configuration.to_dict()),
        "scaler": json.dumps(trainer.scaler.state_dict()),
    }
    write_tensors(_file(model_dir), dict(_tensors(trainer)), notes)


def is_there(model_dir: Path) -> bool:
    """Whether a training has been saved in this folder."""
    return _file(model_dir).is_file()


def read_record(model_dir: Path) -> Record:
    """How far the training in a folder has come. Raises CheckpointError if its state is damaged."""
    with _reading(model_dir) as stored:
        return Record(**json.loads((stored.metadata() or {})["record"]))


def resume(model_dir: Path, trainer: Trainer, configuration: Configuration) -> Record:
    """Put a trainer into the state that was saved.

    Raises:
        TrainingError: if it was trained with another network, or features.
        CheckpointError: if it is damaged.
    """
    with _reading(model_dir) as stored:
        notes = stored.metadata() or {}
        record = Record(**json.loads(notes["record"]))
        before, scaler = json.loads(notes["configuration"]), json.loads(notes["scaler"])
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    _check_configuration(model_dir, before, configuration)
    _restore(trainer, tensors)
    if scaler:  # empty if it was trained in a precision that needs none
        trainer.scaler.load_state_dict(scaler)
    trainer.n_steps = record.step
    return record


@contextmanager
def _reading(model_dir: Path) -> Iterator[Any]:
    """The state's file, opened; whatever is wrong with it becomes a CheckpointError."""
    file = _file(model_dir)
    try:
        with safe_open(file, framework="pt") as stored:
            yield stored
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{display_name(file)} is damaged or cannot be read ({error}): "
            f"remove the folder {display_name(model_dir)} to begin anew"
        ) from error


def _file(model_dir: Path) -> Path:
    return model_dir / TRAINING_FOLDER / STATE_FILE


def _tensors(trainer: Trainer) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in trainer.network.state_dict().items():
        yield f"network.{key}", tensor
    for index, moments in trainer.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            yield f"optimizer.{index}.{name}", torch.as_tensor(value)


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
    for parameter, state in trainer.optimizer.state.items():  # laid out as the parameter, as a fresh one would be
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
