"""Files and folders written through to the disk, so that a power loss takes nothing that was reported as done."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["sync_file", "sync_folder", "sync_tree"]

_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF}
"""What file systems say that have no such call, and Windows of a file that is open for reading only."""


def sync_file(descriptor: int) -> None:
    """Write the content of an open file to the disk. Raises OSError where the disk cannot take it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk: after a file was moved there. Raises OSError as `sync_file` does."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders, and keeps their names in its own journal
        return
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Write all files below a folder, and their names, to the disk. Raises OSError as `sync_file` does."""
    for root, _, names in os.walk(folder):
        for name in names:
            with Path(root, name).open("rb") as file:
                sync_file(file.fileno())
        sync_folder(Path(root))
