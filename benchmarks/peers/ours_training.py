"""Time steps of training of this package, full-size 2 stems, as original_training.py does the original's.

    python benchmarks/peers/ours_training.py --batch 2 --steps 3

Runs in this project's environment. Prints one line of JSON. A step includes the STFT.
"""

from __future__ import annotations

import measuring  # type: ignore[import-not-found] # it lies beside, and this is no package
import numpy as np
import torch

from spleeter import __version__
from spleeter.backends.torch.device import select_device
from spleeter.configuration import Configuration
from spleeter.data.augmentation import Transform
from spleeter.data.batches import Batch, Segment
from spleeter.model.functions import build
from spleeter.training.step import Trainer, flush_denormals
from spleeter.utils.allocator import keep_all_memory


def main() -> None:
    """Time it and print the result."""
    parser = measuring.training_parser(__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    keep_all_memory()
    configuration = Configuration.load(
        {**Configuration.load("spleeter:2stems").to_dict(), "batch_size": arguments.batch}
    )
    device, precision = select_device(arguments.device), getattr(torch, arguments.precision)
    trainer = Trainer(build(configuration), configuration, device, precision)
    batch = _batch(configuration, arguments.batch)
    with flush_denormals():
        measuring.report_steps(
            arguments,
            lambda: trainer.step(batch),
            name=f"this package {__version__}",
            framework=f"torch {torch.__version__}",
        )


def _batch(configuration: Configuration, n_segments: int) -> Batch:
    """Noise."""
    n_stems, n_samples = len(configuration.instrument_list), configuration.segment_samples
    shape = (n_stems, n_segments, configuration.n_channels, n_samples)
    stems = np.random.default_rng(0).standard_normal(shape, dtype=np.float32) / np.float32(10)
    segment = Segment((0,) * n_stems, (0,) * n_stems, n_samples, Transform.identity(n_stems))
    return Batch(stems.sum(0), stems, (segment,) * n_segments, ("noise",) * n_segments)


if __name__ == "__main__":
    main()
