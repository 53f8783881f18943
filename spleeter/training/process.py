"""What the process has to be told before it trains on a CPU, so that its steps stay fast."""

import torch

from spleeter.utils.allocator import keep_all_memory


def set_up() -> None:
    """Keep freed memory, and take numbers below 1e-38 for zero, as TensorFlow does.

    Gradients are full of such numbers once masks are nearly 0 or 1, and a processor takes a hundred times as long for
    them: steps became slower and slower, three times as slow after a few hundred. The threads that compute get this
    setting from the one that starts them, so it is to be made before anything is computed.
    """
    keep_all_memory()
    torch.set_flush_denormal(True)
