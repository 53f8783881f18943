"""Files and folders written through to the disk, so that a power loss takes nothing that was reported as done."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["sync_file", "sync_folder"]

_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What file systems say that have no such call, on which nothing can be done."""


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
