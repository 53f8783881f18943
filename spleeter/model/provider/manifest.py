"""The record of a download, kept beside the weights: where they came from, and the sha256 of every file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from spleeter.errors import ModelError
from spleeter.model.provider.folder import MANIFEST


class FileRecord(BaseModel):
    """One file as it was downloaded."""

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


def file_sha256(file: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def records(folder: Path) -> dict[str, FileRecord]:
    """What is in `folder` now, by name."""
    return {
        file.name: FileRecord(sha256=file_sha256(file), size=file.stat().st_size) for file in sorted(folder.iterdir())
    }


def damages(folder: Path, released: Mapping[str, str]) -> list[str] | None:
    """How `folder` differs from what was downloaded, each difference in words; empty if it does not.

    Args:
        folder: a whole model.
        released: sha256 of its files by name, for a folder without a manifest.

    Returns:
        None if there is neither a manifest nor a released sum to compare with.
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
    return [complaint for name, sha256 in expected.items() if (complaint := _damage(folder / name, sha256))]


def _damage(file: Path, sha256: str) -> str | None:
    if not file.is_file():
        return f"{file.name} is missing"
    return None if file_sha256(file) == sha256 else f"{file.name} is not what was released (sha256 differs)"
