"""A file that appears at its path whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from spleeter.audio.failures import reason
from spleeter.errors import EncodeError
from spleeter.types import PathLike
from spleeter.utils.names import display_name


class PartialFile:
    """A binary file object for encoders: collects in a hidden file beside `path`, and moves there on `commit`.

    The hidden file's name is short and independent of the path's, so that every name the folder can hold
    works. Encoders call `write`, `seek` and `tell` out of C code, where an exception would be lost or
    printed: the first error is kept instead, and raised by `check`.

    Raises:
        EncodeError: if `path` cannot become a file: no such folder, no permission, a name too long, or
            something else than a file in its place.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = Path(os.fsdecode(path))
        self.name = display_name(path)
        self._error: Exception | None = None
        self._temporary = self._path.parent / f".spleeter-{secrets.token_hex(6)}.part"
        try:
            _check_replaceable(self._path)
            self._file = self._temporary.open("xb", buffering=1 << 18)
        except (OSError, ValueError) as error:
            raise self.failure(reason(error)) from error

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        if self._error is None and not self._file.closed:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError) as error:
            self._error = self._error or error
            return 0

    def tell(self) -> int:
        return 0 if self._file.closed else self._file.tell()

    def check(self) -> None:
        """Raise EncodeError if anything has gone wrong with the file so far."""
        if self._error is not None:
            raise self.failure(reason(self._error)) from self._error

    def close(self) -> None:
        """Write out what is buffered. Raises EncodeError."""
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        self.check()

    def commit(self) -> None:
        """Move the closed file to its path, replacing what was there. Raises EncodeError."""
        try:
            self._temporary.replace(self._path)
        except OSError as error:
            raise self.failure(reason(error)) from error

    def discard(self) -> None:
        """Remove the hidden file. Never raises; may be called twice."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def failure(self, what: str) -> EncodeError:
        """The error that says what is wrong with this file."""
        return EncodeError(f"cannot write {self.name}: {what}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, and the folders above it.

    Raises:
        EncodeError: if it cannot be written; nothing is left behind then.
    """
    with suppress(OSError):  # what is wrong, PartialFile says in its way
        path.parent.mkdir(parents=True, exist_ok=True)
    file = PartialFile(path)
    try:
        file.write(content)
        file.close()
        file.commit()
    finally:
        file.discard()


def _check_replaceable(path: Path) -> None:
    """Raise OSError if there is something at `path` that a file must not or cannot replace."""
    with suppress(FileNotFoundError):
        path.stat()
        if not path.is_file():
            raise FileExistsError(0, "it exists and is not a file")
        if not os.access(path, os.W_OK):
            raise PermissionError(0, "it exists and is read-only")
    if not path.parent.is_dir():
        raise NotADirectoryError(0, f"there is no folder {display_name(path.parent)}")
