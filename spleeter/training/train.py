"""`train`, the entry: a configuration in, a trained model's folder out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from spleeter.audio.adapter import AudioAdapter
from spleeter.backends.torch.device import select_device, select_precision
from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.data.dataset import open_dataset
from spleeter.errors import TrainingError
from spleeter.training import state
from spleeter.training.distributed import Ranks
from spleeter.training.loop import Outcome, TrainingLoop
from spleeter.training.monitoring.progress import Watcher
from spleeter.training.start import check_folder, lock_folder, pretrained_network, random_network
from spleeter.training.state import Record
from spleeter.training.step import Trainer, flush_denormals
from spleeter.types import PathLike
from spleeter.utils.allocator import keep_all_memory
from spleeter.utils.names import display_name

__all__ = ["train"]


def train(
    configuration: Configuration,
    *,
    data: Path | None = None,
    adapter: AudioAdapter | None = None,
    start_from: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    n_micro_batches: int = 1,
    skip_bad: bool = False,
    watcher: Watcher | None = None,
    trust: PathLike | Sequence[PathLike] = (),
) -> Outcome:
    """Train a model, or resume if its folder holds a training.

    The folder, `model_dir`, then holds the model, which can be used at any time: the one with the least validation
    loss so far, or the last one where there are no validation songs. In its folder `training` are the curves and the
    state to resume from.

    Args:
        configuration: of the model and its training; a relative model_dir starts from the working directory.
        data: folder that the paths in the lists of songs start from; None for the folder of each list.
        adapter: reads audio files; None takes the default.
        start_from: model to take the first weights of: `spleeter:2stems`, a JSON file or a model's folder.
        device: as for `select_device`; of processes that train together each takes the CUDA device of its local rank.
        precision: float32, or for autocast bfloat16 or float16.
        n_micro_batches: into which a batch is split to save memory; gradients are accumulated.
        skip_bad: leave out songs with problems, rather than fail.
        watcher: is called with the progress, and may stop the training.
        trust: modules of your own that may build the network, dotted names or paths of Python files.

    Raises:
        DatasetError: if songs have problems, or there are none.
        TrainingError: if it cannot start, or the loss is NaN or infinite.
        ModelError: if the network cannot be built, or the weights to start from cannot be loaded.
        DeviceError: if there is no such device or precision.
    """
    ranks, model_dir = Ranks.from_environment(), Path(configuration.model_dir).resolve()
    check_folder(model_dir, start_from)
    own_device = ranks.device(select_device(device))
    watcher = watcher or Watcher()

    def run() -> Outcome:
        with ExitStack() as stack:
            if ranks.is_first:
                stack.enter_context(lock_folder(model_dir))
            trainer, record = _restore_or_start(
                configuration, model_dir, start_from, own_device, precision, n_micro_batches, ranks, trust
            )
            if ranks.is_first and record.step > 0 and record.best_loss is None:
                # The process may have been killed between writing the state and the model.
                save_network(model_dir, trainer.network, configuration)
            if record.is_complete(configuration):
                return Outcome(model_dir, record, is_done=True)
            data_set = stack.enter_context(
                open_dataset(
                    configuration,
                    data=data,
                    adapter=adapter,
                    skip_bad=skip_bad,
                    n_processes=ranks.world_size,
                    progress=watcher.preparing,
                )
            )
            keep_all_memory()
            return TrainingLoop(configuration, model_dir, trainer, data_set, record, watcher).run()

    with flush_denormals(), ranks.process_group(own_device):
        return run()  # a function of its own, so that the trainer is gone before the process group is


def _restore_or_start(
    configuration: Configuration,
    model_dir: Path,
    start_from: str | None,
    device: torch.device,
    precision: str,
    n_micro_batches: int,
    ranks: Ranks,
    trust: PathLike | Sequence[PathLike],
) -> tuple[Trainer, Record]:
    """A trainer with the saved state, or with the first weights; and its progress."""
    resumes = state.exists(model_dir)
    if start_from is None or resumes:
        network = random_network(configuration, trust)
    else:
        network = pretrained_network(start_from, configuration, trust)
    trainer = Trainer(network, configuration, device, select_precision(precision, device), n_micro_batches, ranks)
    record = state.resume(model_dir, trainer, configuration) if resumes else Record(start_from=start_from)
    if not ranks.agree(record.step, device):
        raise TrainingError(f"the processes do not have the same {display_name(model_dir)}: it must be shared by all")
    return trainer, record
