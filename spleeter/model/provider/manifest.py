"""The manifest of a downloaded model, kept beside the weights: their source, and the sha256 of every file.

A stranger can put a manifest beside any weights. So each manifest that a download writes is also noted in the user's
cache, by its own sha256, and proves nothing if it is not.
"""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from spleeter.errors import CheckpointError, ModelError
from spleeter.model.provider.extract import MAX_BYTES
from spleeter.model.provider.folder import MANIFEST, weights_files
from spleeter.utils.names import display_name, reason
from spleeter.utils.plain_file import open_plain, read_plain

__all__ = ["FileRecord", "Manifest", "Verification", "file_records", "file_sha256", "verify"]

_MAX_SIZE = 2**20  # bytes of a manifest; a file in it takes about 150
_MAX_REPORTED = 20


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or len(name) > 255:
        raise ValueError("must be a name within the folder")
    return name


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
    files: dict[Annotated[str, AfterValidator(_inside)], FileRecord]

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The manifest of `folder`, None if it has none. Raises ModelError if it is damaged or no plain file."""
        try:
            return cls.model_validate_json(read_plain(folder / MANIFEST, _MAX_SIZE))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ModelError(f"{display_name(folder / MANIFEST)} is damaged") from error
        except OSError as error:
            raise ModelError(f"{display_name(folder / MANIFEST)} cannot be read: {reason(error)}") from error

    def write(self, folder: Path) -> None:
        """Write it into `folder`, and note that it was written here."""
        data = self.model_dump_json(indent=2).encode() + b"\n"
        (folder / MANIFEST).write_bytes(data)
        note = _note(data)
        with suppress(OSError):  # without a cache that can be written to, what was downloaded counts as unproven
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()


def _note(manifest: bytes) -> Path:
    """The file whose presence says that a download of this user's wrote a manifest."""
    from platformdirs import user_cache_path

    return user_cache_path("spleeter") / "manifests" / hashlib.sha256(manifest).hexdigest()


def file_sha256(file: str | Path) -> str:
    """The sha256 of a plain file, in hexadecimal."""
    with open_plain(Path(file)) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_records(folder: Path) -> dict[str, FileRecord]:
    """The records of the files that are in `folder` now, by their names relative to it, with `/`."""
    return {
        file.relative_to(folder).as_posix(): FileRecord(sha256=file_sha256(file), size=file.stat().st_size)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@dataclass(frozen=True)
class Verification:
    """The result of comparing a model's files with what was released.

    Attributes:
        differences: one message each.
        doubt: the reason why the files are not proven to be the released ones although none differs, as the end of a
            sentence; None if they are proven.
    """

    differences: tuple[str, ...] = ()
    doubt: str | None = None


def verify(folder: Path, files: Mapping[str, str], archives: Collection[str] = ()) -> Verification:
    """Compare the files of a complete model with what was released.

    Args:
        folder: of the model.
        files: the known sha256 of files of the release by name; they decide, whatever the folder's manifest says.
        archives: sha256 of the archives that the model was released in; none if they are not known.
    """
    try:
        manifest = Manifest.read(folder)
        is_noted = manifest is not None and _note(read_plain(folder / MANIFEST, _MAX_SIZE)).exists()
        loaded = weights_files(folder)
    except (ModelError, CheckpointError, OSError) as error:
        return Verification((str(error),))
    expected = {} if manifest is None else {name: record.sha256 for name, record in manifest.files.items()}
    if any((folder / name).exists() for name in files):  # else it is the model in another format
        expected.update(files)
    differences = [message for name in expected if (message := _difference(folder, name, expected[name]))]
    if manifest is not None and archives and manifest.archive_sha256 not in archives:
        differences.append(f"{MANIFEST} is that of another archive than the released one")
    if expected:
        differences += [f"{display_name(name)} is no file of the release" for name in loaded if name not in expected]
    doubt = None
    if manifest is None and not expected:
        doubt = "no checksums are known for its files"
    elif not (is_noted or set(loaded) <= files.keys()):
        doubt = f"its files are those of its {MANIFEST}, which was not written by a download of yours"
    if len(differences) > _MAX_REPORTED:
        differences[_MAX_REPORTED:] = [f"and {len(differences) - _MAX_REPORTED} more"]
    return Verification(tuple(differences), doubt)


def _difference(folder: Path, name: str, sha256: str) -> str | None:
    file = folder / name
    if not file.exists():
        return f"{display_name(name)} is missing"
    try:
        if file.stat().st_size > MAX_BYTES:
            return f"{display_name(name)} has more than {MAX_BYTES} bytes, which no model has"
        is_same = file_sha256(file) == sha256
    except OSError as error:
        return f"{display_name(name)} cannot be read: {reason(error)}"
    return None if is_same else f"{display_name(name)} is not what was released (sha256 differs)"
