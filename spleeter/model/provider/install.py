"""Install a model folder atomically: locked against other processes, staged beside its place, renamed into it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path, PurePosixPath
from shutil import rmtree
from stat import S_ISDIR
from tempfile import TemporaryDirectory

from spleeter.errors import DownloadError, ModelError, SpleeterError
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.manifest import Manifest
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason
from spleeter.utils.sync import sync_folder, sync_tree

__all__ = ["clear_partial", "locked", "private_folder", "refuse_foreign_files", "staged"]

_OF_A_RELEASE = re.compile(
    r"\.probe|\._.*|\.DS_Store|manifest\.json|checkpoint|model\.(index|meta|data-\d{5}-of-\d{5})"
)
"""Files of the released archives, and files that systems and tools add to them; training writes other names."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` against other processes and threads; reentrant.

    Raises:
        DownloadError: if locking, or the block, fails with an OSError.
    """
    from filelock import FileLock, Timeout

    folder = folder.resolve()  # one folder, one lock, whatever path leads there
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # A singleton is one object for each path, which makes it reentrant.
        lock = FileLock(folder.with_name(f".{folder.name}.lock"), is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("waiting for another process that is downloading model %s", folder.name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except SpleeterError:
        raise
    except OSError as error:
        raise DownloadError(
            f"cannot put a model into {display_name(folder)}: {reason(error)}; "
            "set MODEL_PATH to a folder that may be written to and has room"
        ) from error


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`, which replaces `folder` when the block has put a complete model there.

    The caller holds the lock of `folder`. If the block raises, `folder` stays as it was.

    Raises:
        ModelError: if `folder` holds files that a download cannot bring back.
        DownloadError: if the block leaves no complete model.
    """
    refuse_foreign_files(folder)
    _clear_leftovers(folder)
    staging = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    staging.mkdir()
    try:
        yield staging
        if found := flaw(staging):
            raise DownloadError(f"the download of {folder.name} holds no usable model: {found}")
        _publish(staging, folder)
    finally:
        rmtree(staging, ignore_errors=True)


@contextmanager
def private_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` that nobody else can write to. What is left in it is kept for the next time.

    Where others can write beside `folder`, they may have put something in its place, such as a link to another's
    file. Then another one is made, which is not kept.
    """
    place = _partial_place(folder)
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
    status = place.lstat()
    is_own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    if not (S_ISDIR(status.st_mode) and is_own):
        with TemporaryDirectory(prefix=f"{place.name}-", dir=folder.parent) as other:
            yield Path(other)
        return
    try:
        yield place
    finally:
        with suppress(OSError):  # there is something to go on with
            place.rmdir()


def clear_partial(folder: Path) -> None:
    """Remove what is left of partial downloads, once `folder` holds the model."""
    rmtree(_partial_place(folder), ignore_errors=True)


def _partial_place(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.download")


def refuse_foreign_files(folder: Path) -> None:
    """Raise ModelError if `folder` holds files that a download would not restore."""
    if not folder.exists():
        return
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else {folder.name}
    if others := sorted(name for name in names - _recorded(folder) if not _OF_A_RELEASE.fullmatch(name)):
        place, found = display_name(folder), flaw(folder)
        subject = f"no model in {place}: {found}; it" if found else place
        raise ModelError(
            f"{subject} is not replaced by a download because it holds other files ({display_name(others[0])}): "
            "move them away, or use another folder"
        )


def _recorded(folder: Path) -> set[str]:
    """The names of the files that were downloaded into `folder`, from its manifest; empty without one."""
    try:
        manifest = Manifest.read(folder)
    except (ModelError, NotADirectoryError):
        return set()
    return {PurePosixPath(name).parts[0] for name in manifest.files} if manifest else set()


def _clear_leftovers(folder: Path) -> None:
    """Remove the folders of processes that died; the lock guarantees that none of them is alive."""
    for kind in ("new", "old"):
        for leftover in folder.parent.glob(f".{escape(folder.name)}.{kind}-*"):
            rmtree(leftover, ignore_errors=True)


def _publish(staging: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    sync_tree(staging)
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    sync_folder(folder.parent)
    rmtree(old, ignore_errors=True)
