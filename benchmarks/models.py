"""The models that are measured: released ones if they are installed, else the same networks with random weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spleeter.backends.base import Backend, Device, Model, open_backend
from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.model.provider import ModelProvider
from spleeter.model.provider.folder import flaw


@dataclass(frozen=True)
class MeasuredModel:
    """A model: its descriptor, as `Separator` takes it, and a label for the tables."""

    descriptor: str
    label: str

    @cached_property
    def configuration(self) -> Configuration:
        """The model's configuration."""
        return Configuration.load(self.descriptor)

    def load(self, device: Device, precision: str = "float32") -> Backend:
        """The network on a device, ready to estimate."""
        folder = ModelProvider.default().locate(self.configuration.model_dir)
        return open_backend(Model(folder, self.configuration), device, precision)


class Models:
    """Finds installed models, and makes missing ones in a folder; nothing is downloaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[int, MeasuredModel] = {}

    def get(self, n_stems: int) -> MeasuredModel:
        """The model of this many stems. The arithmetic does not depend on whether its weights are random."""
        if n_stems not in self._found:
            self._found[n_stems] = self._released_or_random(f"spleeter:{n_stems}stems", f"{n_stems} stems")
        return self._found[n_stems]

    def _released_or_random(self, descriptor: str, label: str) -> MeasuredModel:
        released = Configuration.load(descriptor)
        if flaw(ModelProvider.default().locate(released.model_dir)) is None:
            return MeasuredModel(descriptor, label)
        folder = self._folder / descriptor.rpartition(":")[-1]
        configuration = Configuration.load({**released.to_dict(), "model_dir": str(folder.absolute())})
        with ThreadPoolExecutor(1) as passing:  # an OpenMP team ends with the thread that it computes for
            passing.submit(lambda: save_network(folder, build(configuration), configuration)).result()
        return MeasuredModel(str(folder), f"{label} (random weights)")
