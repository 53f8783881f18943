"""How a process computes while it trains on a CPU, so that its steps stay fast."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Within this context numbers below 1e-38 count as zero, as they do in TensorFlow.

    Gradients are full of such numbers once masks are nearly 0 or 1, and a processor takes a hundred times as long for
    them: steps became slower and slower, three times as slow after a few hundred. The threads that compute get this
    setting from the one that starts them, so it is to be made before anything is computed.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
