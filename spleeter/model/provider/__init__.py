"""Model folders on this machine: found, or downloaded where they are absent.

`ModelProvider.default().get("2stems")` returns the folder of a complete model, or raises a ModelError.

    folder.py     whether a folder is a complete model    download.py   URL -> file: resume, retry, verify
    install.py    lock, stage, publish atomically         extract.py    .tar.gz -> folder, safely
    manifest.py   what was downloaded, to verify it       wheel.py      2stems where the release host is unreachable
    released.py   sha256 sums of release v1.4.0           github.py     all of these together
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from spleeter.errors import DownloadError, ModelError, UnknownModelError
from spleeter.model.provider.download import DownloadProgress
from spleeter.model.provider.folder import PROBE, flaw
from spleeter.utils.names import display_name, short

__all__ = ["DownloadProgress", "ModelProvider", "get_default_model_provider"]

_DEFAULT = "spleeter.model.provider.github", "GithubModelProvider"
"""Looked up by name, as it is a ModelProvider itself."""


class ModelProvider(ABC):
    """Pretrained models on disk. A subclass implements `download`; `get` does the rest.

    A relative model directory is looked up in the folder that the environment variable `MODEL_PATH` names. Where
    that is not set, in `./pretrained_models`, and then in the user's cache, into which it is downloaded.
    The environment is read at each call.
    """

    DEFAULT_MODEL_PATH: ClassVar[str] = "pretrained_models"
    MODEL_PROBE_PATH: ClassVar[str] = PROBE

    progress: DownloadProgress | None = None
    """Called while a download proceeds, if it is not None."""

    @abstractmethod
    def download(self, name: str, path: str) -> None:
        """Download the model `name` into the folder `path`.

        Raises:
            ModelError: if there is no such model, or it could not be fetched or verified.
        """

    def require(self, name: str) -> None:  # noqa: B027 - a provider that takes every name need not override it
        """Raise UnknownModelError if there is no model `name` to download. Called before anything is written."""

    def get(self, model_directory: str) -> str:
        """Return the folder of a complete model, downloading it where it is absent or incomplete.

        Args:
            model_directory: an absolute folder, used as it is; or a relative one, such as "2stems", see the class.
                The last part of either is the name of the model to download.

        Raises:
            ModelError: if there is no model and none of this name can be downloaded.
            DownloadError: if the download failed.
        """
        folder = self.locate(model_directory)
        if flaw(folder):
            self._provide(folder)
        return str(folder)

    def locate(self, model_directory: str) -> Path:
        """The folder where `get` finds this model, or would put it; it need not exist.

        Raises:
            ModelError: if `model_directory` is relative and leaves the folder of the models.
        """
        path = Path(model_directory)
        if path.is_absolute():
            return path
        if path.anchor or ".." in path.parts or not path.parts:
            raise ModelError(
                f"model directory {short(str(model_directory))} leaves the folder of the models: "
                "give a name such as 2stems, or an absolute path"
            )
        local = Path(self.DEFAULT_MODEL_PATH) / path
        if not os.environ.get("MODEL_PATH") and not flaw(local):
            return local
        return self.home() / path

    def home(self) -> Path:
        """The folder into which models are downloaded: `MODEL_PATH` if it is set, else `cache`."""
        chosen = os.environ.get("MODEL_PATH")
        return Path(chosen).expanduser() if chosen else self.cache()

    def cache(self) -> Path:
        """This provider's folder in the user's cache."""
        from platformdirs import user_cache_path

        return user_cache_path("spleeter") / "models"

    @staticmethod
    def writeProbe(directory: str) -> None:  # noqa: N802 - the original's name
        """Mark `directory` as a complete model for tools that look for a `.probe` file."""
        Path(directory, PROBE).write_text("OK")

    @classmethod
    def default(cls) -> ModelProvider:
        """The provider used where none is given: GitHub releases, as the environment says."""
        module, name = _DEFAULT
        provider: ModelProvider = getattr(import_module(module), name).from_environ()
        return provider

    def _provide(self, folder: Path) -> None:
        """Download `folder`, which is no complete model, unless another process has just done so."""
        from spleeter.model.provider.install import locked, refuse_foreign_files

        try:
            self.require(folder.name)
        except UnknownModelError as error:
            raise ModelError(f"no model in {display_name(folder)}: {flaw(folder)}; {error}") from error
        refuse_foreign_files(folder)
        with locked(folder):
            if not flaw(folder):
                return
            self.download(folder.name, str(folder))
            if reason := flaw(folder):
                raise DownloadError(
                    f"the download of {folder.name} left no whole model in {display_name(folder)}: {reason}"
                )
            self.writeProbe(str(folder))


get_default_model_provider = ModelProvider.default
"""Its name in the original 1.x."""
