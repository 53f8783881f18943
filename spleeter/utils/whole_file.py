"""Whole files: each appears at its path complete, or not at all; whatever writes a file in one go, writes it here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from spleeter.errors import SpleeterError
from spleeter.types import PathLike
from spleeter.utils.hidden_folder import HiddenFolder
from spleeter.utils.names import display_name, reason
from spleeter.utils.sync import sync_file

__all__ = ["WholeFile", "commit_together", "write_whole"]

_BUFFER = 1 << 18  # bytes

_syncs_later: ContextVar[bool] = ContextVar("_syncs_later", default=False)
"""Whether `commit_together` writes the names of the files to the disk, once for all of them."""


class WholeFile:
    """A binary file object that collects in a hidden folder beside `path`, and moves there on `commit`.

    Once it is there, it is on the disk.

    Args:
        path: where the file is to appear.
        error: raised in place of an OSError, here and by every method, as "cannot write PATH: REASON"; None leaves
            the OSError as it is.
        make_folders: make the folders above it, rather than refuse the path if they are missing.

    Raises:
        `error`: if `path` cannot become a file: no such folder, no permission, a name too long, or something else
            than a writable file in its place.
    """

    def __init__(
        self, path: PathLike, error: type[SpleeterError] | None = None, *, make_folders: bool = False
    ) -> None:
        self.path = Path(os.fsdecode(path))
        self._error = error
        with self._converted():
            _check_replaceable(self.path, make_folders)
            self._folder = HiddenFolder(self.path.parent)
            self._content = self._folder.path / "content"
            try:
                self._file = self._content.open("x+b", buffering=_BUFFER)
            except BaseException:
                self._folder.remove()
                raise

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
        """Write everything to the disk. The file does not appear at its path yet."""
        with self._converted():
            self._file.flush()
            sync_file(self._file.fileno())
            self._file.close()

    def fill(self, write: Callable[[Path], None]) -> None:
        """Have `write` make the content, given its path, instead of writing it here; its permissions stay."""
        with self._converted():
            self._file.close()
            permissions = self._content.stat().st_mode
            write(self._content)
            self._content.chmod(permissions)
            with self._content.open("r+b") as file:  # Windows syncs no file that is open for reading only
                sync_file(file.fileno())

    def commit(self) -> None:
        """Move the closed file to its path, replacing what was there, atomically."""
        with self._converted():
            self._content.replace(self.path)
            if not _syncs_later.get():
                self._folder.sync()
        self._folder.remove()

    def discard(self) -> None:
        """Remove what is hidden. Never raises; may be called twice, and after `commit`."""
        with suppress(OSError):
            self._file.close()
        self._folder.remove()

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
    file = WholeFile(path, error, make_folders=True)
    try:
        if callable(content):
            file.fill(content)
        else:
            file.write(content)
            file.close()
        file.commit()
    finally:
        file.discard()


def commit_together(commits: Iterable[tuple[Path, Callable[[], None]]], folders: Mapping[Path, HiddenFolder]) -> None:
    """Have several files appear: all of them, or, if one cannot, none, and what they replaced is back.

    Args:
        commits: the path of each file, and what makes it appear there.
        folders: a hidden folder in the folder of each path, which keeps what is replaced.

    Raises:
        OSError: if what is replaced cannot be kept; and whatever a commit raises.
    """
    undo: list[tuple[Path, Path | None]] = []
    token = _syncs_later.set(True)
    try:
        for path, commit in commits:
            is_replaced = os.path.lexists(path) and not path.is_dir()
            backup = folders[path.parent].path / str(len(undo)) if is_replaced else None
            undo.append((path, backup))
            if backup is not None:
                _keep(path, backup)
            commit()
        for folder in folders.values():
            folder.sync()
    except BaseException:
        for path, backup in reversed(undo):
            with suppress(OSError):
                path.unlink() if backup is None else backup.replace(path)
        raise
    finally:
        _syncs_later.reset(token)


def _keep(path: Path, backup: Path) -> None:
    """Give the file at a path another name too, so that at no time there is none at the path."""
    try:
        os.link(path, backup, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system without links, such as FAT
        path.rename(backup)


def _check_replaceable(path: Path, make_folders: bool) -> None:
    """Raise OSError if there is something at `path` that a file must not or cannot replace."""
    with suppress(FileNotFoundError):
        path.stat()
        if not path.is_file():
            raise FileExistsError(0, "it exists and is not a file")
        if not os.access(path, os.W_OK):
            raise PermissionError(0, "it exists and is read-only")
    if not (make_folders or path.parent.is_dir()):
        raise NotADirectoryError(0, f"there is no folder {display_name(path.parent)}")
