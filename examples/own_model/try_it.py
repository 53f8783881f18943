"""Saves the network of small_conv.py, untrained, as a model folder and separates a second of noise with it."""

import sys
from pathlib import Path

import numpy as np
import torch

from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.separator import Separator

CODE = Path(__file__).with_name("small_conv.py")


def main(model_dir: Path) -> None:
    """Save a model in `model_dir` and separate with it."""
    torch.manual_seed(0)  # the same initial weights in every run
    configuration = Configuration.load(Path(__file__).with_name("config.json"))
    save_network(model_dir, build(configuration, trust=CODE), configuration)

    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, (configuration.sample_rate, 2)).astype(np.float32)
    stems = Separator(str(model_dir), trust=CODE).separate(mixture)
    for name, stem in stems.items():
        print(f"{name}: {len(stem)} samples, {np.sum(stem**2) / np.sum(mixture**2):.0%} of the mixture's energy")
    print(f"the stems add up to the mixture: {np.allclose(sum(stems.values()), mixture, atol=1e-4)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "small_conv_model"))
