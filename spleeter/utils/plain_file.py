"""Plain files that may be a stranger's: opened without waiting for anyone, and read up to a bound."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_plain", "read_at_most", "read_plain"]

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file, or a link to one, to read its bytes.

    Raises:
        OSError: if it cannot be opened or is something else: a pipe, which nobody may write to; a device, which may
            have no end; a folder.
    """
    _check_kind(path, path.stat().st_mode)
    # Not blocking, and checked again: it may have been replaced in between.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_kind(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path, limit: int) -> bytes:
    """Read a plain file of at most `limit` bytes. Raises OSError as `open_plain`, or if it is larger."""
    with open_plain(path) as file:
        return read_at_most(file, limit)


def read_at_most(file: BinaryIO, limit: int) -> bytes:
    """Read a file object to its end. Raises OSError if there are more than `limit` bytes."""
    data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return data


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a plain file", str(path))
