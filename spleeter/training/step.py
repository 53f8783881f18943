"""A step of training, and a validation: a batch -> losses, gradients, updated weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from spleeter.backends.torch.convolution import channels_last
from spleeter.backends.torch.training import prepare_for_training
from spleeter.configuration import Configuration
from spleeter.data.batches import Batch
from spleeter.errors import TrainingError
from spleeter.training.distributed import Ranks
from spleeter.training.features import features
from spleeter.training.losses import stem_losses
from spleeter.training.optimizers import build_optimizer

__all__ = ["Trainer", "flush_denormals"]

_DROPOUT_STREAM = 2
"""One of the independent streams of random numbers of a seed; `spleeter.data.batches` has the others."""


class Trainer:
    """A network and its optimizer.

    Args:
        network: from magnitudes to stem magnitudes; moved to the device.
        configuration: names the loss and the optimizer.
        device: to train on.
        precision: of the network's arithmetic, by autocast; weights, losses and optimizer are in float32.
        n_micro_batches: into which each batch is split to save memory; gradients are accumulated. The step is the
            same up to rounding, unless there is dropout, or batch norm uses the statistics of its batches.
        ranks: the processes that train together, each with its share of the batch.

    Attributes:
        network, optimizer, scaler: the state of a training, with `n_steps`.
        n_steps: taken so far.
    """

    def __init__(
        self,
        network: nn.Module,
        configuration: Configuration,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        n_micro_batches: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks, self.device, self.n_steps = ranks or Ranks(), device, 0
        self._configuration, self._precision, self._n_micro_batches = configuration, precision, n_micro_batches
        n_shares = self.ranks.world_size * n_micro_batches
        if n_micro_batches < 1 or configuration.batch_size % n_shares:
            raise TrainingError(
                f"batch_size = {configuration.batch_size} cannot be split evenly among {self.ranks.world_size} "
                f"processes and {n_micro_batches} parts each: make it a multiple of {n_shares}"
            )
        if precision == torch.float16 and device.type == "cpu":
            raise TrainingError("a CPU does not train in float16: choose bfloat16 or float32")
        self.network = channels_last(network.to(device))
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(configuration.optimizer, trained, configuration.learning_rate)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
        # On a GPU, cuDNN has fast kernels for the network as it is.
        self._prepared = prepare_for_training(self.network) if device.type == "cpu" else self.network
        self._parallel = self._prepared if self.ranks.world_size == 1 else _distributed(self._prepared, device)

    def step(self, batch: Batch) -> list[float]:
        """Take a step.

        Args:
            batch: this process's share of the step's segments.

        Returns:
            The loss of each stem before the step, over all processes' segments.

        Raises:
            TrainingError: if the loss is NaN or infinite: no weight is changed then.
        """
        self.network.train()
        torch.manual_seed(self._dropout_seed())
        self.optimizer.zero_grad(set_to_none=True)
        losses = torch.stack([self._accumulate(batch, index) for index in range(self._n_micro_batches)]).sum(0)
        reported = self._over_all_processes(losses, batch)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.n_steps += 1
        return reported

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch], goes_on: Callable[[], bool] = lambda: True) -> list[float] | None:
        """Compute the mean loss of each stem over all segments; None if `goes_on` is false in any process."""
        self.network.eval()
        n_stems = len(self._configuration.instrument_list)
        # The sums of the losses, the number of segments, whether it was stopped: on the host, as MPS has no float64.
        total = torch.zeros(n_stems + 2, dtype=torch.float64)
        for batch in batches:
            if not goes_on():
                total[-1] = 1
                break
            n_segments = len(batch.segments)
            total[:n_stems] += self._losses(batch).cpu() * n_segments
            total[n_stems] += n_segments
        if self.ranks.world_size > 1:
            total = self.ranks.sum(total.to(self.device))
        *losses, count, was_stopped = total.tolist()
        return None if was_stopped else [loss / count for loss in losses]

    @torch.no_grad()
    def estimate(self, mixtures: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> those of the stems (stems, batch, channels, T, F), float32."""
        self.network.eval()
        return self._forward(mixtures)

    def _accumulate(self, batch: Batch, index: int) -> Tensor:
        """Add a micro-batch's gradients to those there are; returns its share of the loss of each stem."""
        is_last = index == self._n_micro_batches - 1
        without_all_reduce: AbstractContextManager[None] = nullcontext()
        if isinstance(self._parallel, DistributedDataParallel) and not is_last:
            without_all_reduce = self._parallel.no_sync()
        with without_all_reduce:
            losses = self._losses(batch.micro_batch(index, self._n_micro_batches)) / self._n_micro_batches
            self.scaler.scale(losses.sum()).backward()  # type: ignore[no-untyped-call]
        return losses.detach()

    def _losses(self, batch: Batch) -> Tensor:
        mixtures, targets = features(batch, self._configuration, self.device)
        return stem_losses(self._forward(mixtures), targets, self._configuration.loss_type)

    def _forward(self, mixtures: Tensor) -> Tensor:
        """The stems' magnitudes, float32."""
        network = self._parallel if self.network.training else self._prepared
        with torch.autocast(self.device.type, self._precision, enabled=self._precision != torch.float32):
            estimates: Tensor = network(mixtures)
        return estimates.float()

    def _over_all_processes(self, losses: Tensor, batch: Batch) -> list[float]:
        """The mean of the losses over all processes. Raises TrainingError if one is NaN or infinite."""
        mean: list[float] = (self.ranks.sum(losses) / self.ranks.world_size).tolist()
        if all(map(np.isfinite, mean)):
            return mean
        is_here = not bool(losses.isfinite().all())
        where = (
            f"the batch is of {'; '.join(dict.fromkeys(batch.songs))}" if is_here else "in another process's batch"
        )
        raise TrainingError(
            f"the loss of step {self.n_steps + 1} is NaN or infinite: {where}; what was saved before is unchanged. "
            "Try a smaller learning_rate, or check those songs"
        )

    def _dropout_seed(self) -> int:
        """The seed of what the network draws in this step; it depends on the configured seed, step and rank alone."""
        entropy = [self._configuration.random_seed, _DROPOUT_STREAM, self.n_steps, self.ranks.rank]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def _distributed(network: nn.Module, device: torch.device) -> DistributedDataParallel:
    # A kernel with one input channel has two equivalent sets of strides, of which its gradient may take the other.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Within this context a CPU treats denormal numbers (below 1e-38) as zero, as TensorFlow does.

    Gradients are full of them once masks are nearly 0 or 1, and a processor takes a hundred times as long for them:
    steps would become three times as slow after a few hundred. The threads that compute inherit the setting from the
    one that starts them, so enter the context before anything is computed.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
