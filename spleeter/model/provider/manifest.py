"""The manifest of a downloaded model, kept beside the weights: their source, and the sha256 of every file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from spleeter.errors import ModelError
from spleeter.model.provider.folder import MANIFEST

__all__ = ["FileRecord", "Manifest", "differences", "file_records", "file_sha256"]


class FileRecord(BaseModel):
    """A file as it was downloaded."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    """In bytes."""


class Manifest(BaseModel):
    """A model as it was downloaded."""

    model_config = ConfigDict(frozen=True)

    model: str
    release: str
    source: str
    """A URL, or the requirement that a package index resolved."""
    archive_sha256: str
    files: dict[str, FileRecord]

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The manifest of `folder`, None if it has none. Raises ModelError if it is damaged."""
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ModelError(f"{folder / MANIFEST} is damaged") from error

    def write(self, folder: Path) -> None:
        """Write it into `folder`."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def file_sha256(file: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_records(folder: Path) -> dict[str, FileRecord]:
    """The records of the files that are in `folder` now, by name."""
    return {
        file.name: FileRecord(sha256=file_sha256(file), size=file.stat().st_size) for file in sorted(folder.iterdir())
    }


def differences(folder: Path, released: Mapping[str, str]) -> list[str] | None:
    """The differences between a folder's files and those that were downloaded, one message each.

    Args:
        folder: a complete model.
        released: sha256 of its files by name, for a folder without a manifest.

    Returns:
        An empty list if there are none; None if there is neither a manifest nor a released sum to compare with.
    """
    try:
        manifest = Manifest.read(folder)
    except ModelError:
        return [f"{MANIFEST} is damaged"]
    if manifest:
        expected = {name: record.sha256 for name, record in manifest.files.items()}
    else:
        expected = {name: sha256 for name, sha256 in released.items() if (folder / name).exists()}
    if not expected:
        return None
    found = []
    for name, sha256 in expected.items():
        if not (folder / name).is_file():
            found.append(f"{name} is missing")
        elif file_sha256(folder / name) != sha256:
            found.append(f"{name} is not what was released (sha256 differs)")
    return found
