"""Hidden folders, in which files are made before they appear; those whose owners are gone are removed.

    PARENT/.spleeter-SYSTEM-RANDOM.part/lock      locked as long as the owner lives
                                       /...       what the owner is making

The lock, and no process number, says whether the owner lives: the kernel releases it however a process ends, and all
containers on a system see it. Other machines that share the folder see it on most network file systems, not on all.
So a folder that another system made, or this one before it was restarted, counts as left over only once it is
unlocked and nothing in it has changed for a day.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import time
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path

from spleeter.utils.sync import sync_folder

try:
    import fcntl
except ImportError:  # Windows, which removes no file that is open: there that is the lock
    fcntl = None  # type: ignore[assignment]

__all__ = ["HiddenFolder", "remove_leftovers"]

_PREFIX, _SUFFIX, _LOCK = ".spleeter-", ".part", "lock"

_DAY = 24 * 60 * 60  # seconds

_ATTEMPTS = 100
"""One fails only if another process removes the parent, or takes the new folder for left over, at that moment."""


class HiddenFolder:
    """A new hidden folder, which no other process removes as long as this one lives.

    The first one that a process makes in a parent removes what is left over there.

    Args:
        parent: where it lies; made, with the folders above it, if need be.

    Raises:
        OSError: if it cannot be made; nothing is left behind then.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._made: list[Path] = []
        _remove_leftovers_once(os.path.abspath(parent))  # noqa: PTH100 - Path.absolute keeps the dots
        try:
            self.path, descriptor = self._make()
        except BaseException:
            self._remove_made()
            raise
        self._lock: int | None = descriptor

    def sync(self) -> None:
        """Write the names in the parent to the disk, and those of the folders that were made. Raises OSError."""
        for folder in dict.fromkeys([self._parent, *(made.parent for made in reversed(self._made))]):
            sync_folder(folder)

    def remove(self) -> None:
        """Remove it, and the folders that were made for it and stay empty. Never raises; may be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        shutil.rmtree(self.path, ignore_errors=True)
        self._remove_made()

    def _make(self) -> tuple[Path, int]:
        """Make the folder and its lock, again where another process has just removed what they lie in."""
        for attempt in range(_ATTEMPTS):
            path = self._parent / f"{_PREFIX}{_system()}-{secrets.token_hex(6)}{_SUFFIX}"
            try:
                self._make_parents()
                path.mkdir()
                lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            except BaseException:
                with suppress(OSError):
                    path.rmdir()
                raise
            if _lock(lock):
                return path, lock
            os.close(lock)
        raise FileNotFoundError(0, "another process keeps removing it")

    def _make_parents(self) -> None:
        missing = [folder for folder in (self._parent, *self._parent.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            try:
                folder.mkdir()
                self._made.append(folder)
            except FileExistsError:
                if not folder.is_dir():  # else another process was faster
                    raise FileExistsError(0, "a file is in its place") from None

    def _remove_made(self) -> None:
        for folder in reversed(self._made):
            with suppress(OSError):  # not empty
                folder.rmdir()


def remove_leftovers(parent: str | Path) -> None:
    """Remove the hidden folders in a folder whose owners are gone. Never raises."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            is_ours = entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)
            if is_ours and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left_over(Path(entry.path))


_remove_leftovers_once = lru_cache(maxsize=1000)(remove_leftovers)


def _remove_if_left_over(folder: Path) -> None:
    """Raises OSError if its owner lives, or it cannot be removed."""
    if _system() not in folder.name and time.time() - _last_change(folder) < _DAY:
        return
    with suppress(OSError):
        folder.rmdir()  # empty: the owner ended before it had made the lock, and makes another folder if it did not
        return
    with suppress(FileNotFoundError):  # the lock is the first file in a folder, and the first to go
        _remove_lock(folder / _LOCK)
    shutil.rmtree(folder)


def _last_change(folder: Path) -> float:
    """Seconds since the epoch, by the clock of the file system."""
    with os.scandir(folder) as entries:
        return max([folder.stat().st_mtime, *(entry.stat(follow_symlinks=False).st_mtime for entry in entries)])


def _lock(descriptor: int) -> bool:
    """Lock a file just made; returns False if another process has taken it for left over in between."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, on which nobody can take it for left over
        return True
    return os.fstat(descriptor).st_nlink > 0


def _remove_lock(path: Path) -> None:
    """Remove the lock of an owner that is gone. Raises OSError while one holds it."""
    if fcntl is None:
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()  # before the lock is released: see `_lock`
    finally:
        os.close(descriptor)


@cache
def _system() -> str:
    """Eight digits that tell the running system from others; the same in all its containers."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        name = platform.node()
    return blake2b(name.encode(), digest_size=4).hexdigest()
