"""A step of training, and a validation: batches in, losses out, the network a little better."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

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

_DROPOUT = 2
"""What random numbers are for; see batches.py."""


class Trainer:
    """A network, and what changes it.

    Args:
        network: from magnitudes to stem magnitudes; moved to the device.
        configuration: names the loss and the optimizer.
        device: to train on.
        precision: of the network's arithmetic, by autocast; weights, losses and optimizer are in float32.
        n_parts: into which each batch is split, to be computed one after the other, for less memory. The step is the
            same up to rounding, unless batch norm follows the batches, or there are dropouts.
        ranks: the processes that train together, each with its share of the batch.

    Attributes:
        network, optimizer, scaler: what a training consists of, with `n_steps`.
        n_steps: taken so far.
    """

    def __init__(
        self,
        network: nn.Module,
        configuration: Configuration,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        n_parts: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks, self.device, self.n_steps = ranks or Ranks(), device, 0
        self._configuration, self._precision, self._n_parts = configuration, precision, n_parts
        self._check_batch_size()
        if precision == torch.float16 and device.type == "cpu":
            raise TrainingError("a CPU does not train in float16: choose bfloat16 or float32")
        self.network = channels_last(network.to(device))
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(configuration.optimizer, trained, configuration.learning_rate)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
        # A GPU's library has fast kernels for the network as it is.
        self._form = prepare_for_training(self.network) if device.type == "cpu" else self.network
        self._parallel = self._form if self.ranks.world == 1 else self._distributed()

    def step(self, batch: Batch) -> list[float]:
        """Take a step.

        Args:
            batch: this process's share of the step's segments.

        Returns:
            The loss of each stem before the step, over all processes' segments.

        Raises:
            TrainingError: if the loss is NaN or infinite: nothing is changed then.
        """
        self.network.train()
        torch.manual_seed(self._seed())
        self.optimizer.zero_grad(set_to_none=True)
        losses = torch.stack([self._backward(batch, part) for part in range(self._n_parts)]).sum(0)
        told = self._told(losses, batch)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.n_steps += 1
        return told

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch], goes_on: Callable[[], bool] = lambda: True) -> list[float] | None:
        """Compute the loss of each stem over all segments; None if `goes_on` says no in any process."""
        self.network.eval()
        n_stems = len(self._configuration.instrument_list)
        total = torch.zeros(n_stems + 2, dtype=torch.float64)  # on the host, as some devices have no such numbers
        for batch in batches:
            if not goes_on():
                total[-1] = 1
                break
            n_segments = len(batch.segments)
            total[:n_stems] += self._losses(batch).cpu() * n_segments
            total[n_stems] += n_segments
        if self.ranks.world > 1:
            total = self.ranks.total(total.to(self.device))
        *losses, count, was_stopped = total.tolist()
        return None if was_stopped else [loss / count for loss in losses]

    @torch.no_grad()
    def estimates(self, mixtures: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> those of the stems, in front."""
        self.network.eval()
        return self._forward(mixtures)

    def _backward(self, batch: Batch, part: int) -> Tensor:
        """Add a part's gradients to those there are; returns its share of the loss of each stem."""
        is_last = part == self._n_parts - 1
        alone: AbstractContextManager[None] = nullcontext()
        if isinstance(self._parallel, DistributedDataParallel) and not is_last:
            alone = self._parallel.no_sync()
        with alone:
            losses = self._losses(batch.part(part, self._n_parts)) / self._n_parts
            self.scaler.scale(losses.sum()).backward()  # type: ignore[no-untyped-call]
        return losses.detach()

    def _losses(self, batch: Batch) -> Tensor:
        mixtures, targets = features(batch, self._configuration, self.device)
        return stem_losses(self._forward(mixtures), targets, self._configuration.loss_type)

    def _forward(self, mixtures: Tensor) -> Tensor:
        """The stems' magnitudes, in float32."""
        form = self._parallel if self.network.training else self._form
        with torch.autocast(self.device.type, self._precision, enabled=self._precision != torch.float32):
            estimates: Tensor = form(mixtures)
        return estimates.float()

    def _told(self, losses: Tensor, batch: Batch) -> list[float]:
        """Losses over all processes, if they are numbers."""
        told: list[float] = (self.ranks.total(losses) / self.ranks.world).tolist()
        if all(map(np.isfinite, told)):
            return told
        is_here = not bool(losses.isfinite().all())
        where = f"the batch is of {'; '.join(batch.songs)}" if is_here else "in another process's batch"
        raise TrainingError(
            f"the loss of step {self.n_steps + 1} is not a number: {where}; what was saved before is as it was. "
            "Try a smaller learning_rate, or check those songs"
        )

    def _seed(self) -> int:
        """Of what a network draws in this step, such as dropouts."""
        parts = [self._configuration.random_seed, _DROPOUT, self.n_steps, self.ranks.rank]
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    def _distributed(self) -> DistributedDataParallel:
        devices = [self.device] if self.device.type == "cuda" else None
        # A kernel with one input has two names for the same layout, of which the gradient may take the other.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return DistributedDataParallel(self._form, device_ids=devices)

    def _check_batch_size(self) -> None:
        shares = self.ranks.world * self._n_parts
        if self._n_parts < 1 or self._configuration.batch_size % shares:
            raise TrainingError(
                f"batch_size = {self._configuration.batch_size} cannot be split evenly among {self.ranks.world} "
                f"processes and {self._n_parts} parts each: make it a multiple of {shares}"
            )
