"""Time this package with its released 2stems model, as the peers' scripts beside do theirs.

    MODEL_PATH=PEERS/pretrained_models python benchmarks/peers/ours.py SONG.wav --runs 3

Runs in this project's environment. Prints one line of JSON.
"""

from __future__ import annotations

import measuring  # type: ignore[import-not-found] # it lies beside, and this is no package
import torch

from spleeter import __version__
from spleeter.separator import Separator


def main() -> None:
    """Time it and print the result."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    separator = Separator("spleeter:2stems", device=arguments.device, exact=True)
    measuring.report(
        arguments,
        separator.separate,
        name=f"this package {__version__}",
        version=__version__,
        framework=f"torch {torch.__version__}",
    )


if __name__ == "__main__":
    main()
