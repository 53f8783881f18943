"""Whole files: each appears at its path complete, or not at all; whatever writes a file in one go, writes it here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spleeter.errors import SpleeterError
from spleeter.types import PathLike
from spleeter.utils.names import display_name, reason

__all__ = ["WholeFile", "is_partial", "write_whole"]

_PREFIX, _SUFFIX = ".spleeter-", ".part"
_BUFFER = 1 << 18  # bytes


class WholeFile:
    """A binary file object that collects in a hidden file beside `path`, and moves it there on `commit`.

    The hidden file's name is short and independent of the path's, so that every name the folder can hold works.

    Args:
        path: where the file is to appear; its folder must exist.
        error: raised in place of an OSError, here and by every method, as "cannot write PATH: REASON"; None leaves
            the OSError as it is.

    Raises:
        `error`: if `path` cannot become a file: no such folder, no permission, a name too long, or something else
            than a writable file in its place.
    """

    def __init__(self, path: PathLike, error: type[SpleeterError] | None = None) -> None:
        self.path = Path(os.fsdecode(path))
        self.hidden_path = self.path.parent / f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}"
        self._error = error
        with self._converted():
            _check_replaceable(self.path)
            self._file = self.hidden_path.open("x+b", buffering=_BUFFER)

    def read(self, size: int = -1) -> bytes:
        with self._converted():
            return self._file.read(size)

    def truncate(self, size: int | None = None) -> int:
        with self._converted():
            return self._file.truncate(size)

    def write(self, data: bytes) -> int:
        with self._converted():
            return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._converted():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        with self._converted():
            return self._file.tell()

    def close(self) -> None:
        """Write out what is buffered. The file does not appear at its path yet."""
        with self._converted():
            self._file.close()

    def fill(self, write: Callable[[Path], None]) -> None:
        """Close the hidden file and have `write` make its content, given its path; its permissions stay."""
        self.close()
        with self._converted():
            permissions = self.hidden_path.stat().st_mode
            write(self.hidden_path)
            self.hidden_path.chmod(permissions)

    def commit(self) -> None:
        """Move the closed file to its path, replacing what was there, atomically."""
        with self._converted():
            self.hidden_path.replace(self.path)

    def discard(self) -> None:
        """Remove the hidden file. Never raises; may be called twice, and after `commit`."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.hidden_path.unlink(missing_ok=True)

    @contextmanager
    def _converted(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            if self._error is None or isinstance(error, SpleeterError):
                raise
            raise self._error(f"cannot write {display_name(self.path)}: {reason(error)}") from error


def write_whole(
    path: PathLike, content: bytes | Callable[[Path], None], error: type[SpleeterError] | None = None
) -> None:
    """Write a file that appears whole or not at all, and make the folders above it.

    Args:
        path: where the file is to appear.
        content: its bytes, or a function that writes them to the path it is given.
        error: as for `WholeFile`.

    Raises:
        `error`: if it cannot be written; nothing is left behind then.
    """
    with suppress(OSError):  # WholeFile reports it
        Path(os.fsdecode(path)).parent.mkdir(parents=True, exist_ok=True)
    file = WholeFile(path, error)
    try:
        if callable(content):
            file.fill(content)
        else:
            file.write(content)
            file.close()
        file.commit()
    finally:
        file.discard()


def is_partial(path: Path) -> bool:
    """Whether a path is that of a hidden file: one in the making, or left by a process that was killed."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


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
