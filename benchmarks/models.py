"""The models that are measured: released ones if they are here, else the same networks with random weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from spleeter.backends.torch.weights import load_network, save_network
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.model.provider import ModelProvider
from spleeter.model.provider.folder import flaw


@dataclass(frozen=True)
class Model:
    """A model by what the front door takes, with a label for the tables."""

    descriptor: str
    label: str

    @cached_property
    def configuration(self) -> Configuration:
        """The model's configuration."""
        return Configuration.load(self.descriptor)

    def network(self) -> nn.Module:
        """The network as it was trained, not prepared for anything."""
        return load_network(ModelProvider.default().locate(self.configuration.model_dir), self.configuration)


class Models:
    """Finds models, and makes those that are not there in a folder; nothing is downloaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[int, Model] = {}

    def get(self, n_stems: int) -> Model:
        """The model of this many stems. The arithmetic does not depend on whether its weights are random."""
        if n_stems not in self._found:
            self._found[n_stems] = self._released_or_random(f"spleeter:{n_stems}stems", f"{n_stems} stems")
        return self._found[n_stems]

    def _released_or_random(self, descriptor: str, label: str) -> Model:
        released = Configuration.load(descriptor)
        if flaw(ModelProvider.default().locate(released.model_dir)) is None:
            return Model(descriptor, label)
        folder = self._folder / descriptor.rpartition(":")[-1]
        configuration = Configuration.load({**released.to_dict(), "model_dir": str(folder.absolute())})
        with ThreadPoolExecutor(1) as passing:  # torch's threads end with the one that they compute for
            passing.submit(lambda: save_network(folder, build(configuration), configuration)).result()
        return Model(str(folder), f"{label} (random weights)")
