"""Time the original package, Spleeter on TensorFlow, with its released 2stems model.

    MODEL_PATH=PEERS/pretrained_models PEERS/original/bin/python benchmarks/peers/original.py SONG.wav --runs 3

Runs in an environment of its own: see the README beside. Prints one line of JSON. The original builds its graph and
reads its weights anew on every call of `separate`, so each of the timed runs includes that.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version

import measuring  # type: ignore[import-not-found] # it lies beside, and this is no package

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Time it and print the result."""
    arguments = measuring.parser(__doc__).parse_args()
    tensorflow = importlib.import_module("tensorflow")
    # By name, as this project's own package is called the same.
    separator = importlib.import_module("spleeter.separator").Separator("spleeter:2stems", multiprocess=False)
    measuring.report(
        arguments,
        separator.separate,
        name=f"Spleeter {version('spleeter')}",
        version=version("spleeter"),
        framework=f"TensorFlow {tensorflow.__version__}",
    )


if __name__ == "__main__":
    main()
