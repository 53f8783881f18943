"""The file object that FFmpeg reads through: one file, no exceptions inside C code."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import BinaryIO

_PIPE_PATIENCE = 5.0
"""Seconds in which somebody must have begun to write into a pipe."""


class InputFile:
    """A file opened for reading. FFmpeg calls `read` and `seek` where an exception would be printed or lost.

    Raises:
        OSError, ValueError: if it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.error: OSError | None = None
        """The first thing that went wrong with reading."""
        self._file = _open(path)

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = self.error or error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError) as error:  # damaged files send FFmpeg to impossible places
            return -(getattr(error, "errno", None) or errno.EINVAL)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    def close(self) -> None:
        self._file.close()


def _open(path: str) -> BinaryIO:
    """Open a file or a pipe that is written to; what has no end or no bytes is refused."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for its writer, for ever
    descriptor = os.open(path, os.O_RDONLY | without_waiting | getattr(os, "O_BINARY", 0))
    try:
        _check_kind(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_kind(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISFIFO(mode):
        if not select.select([descriptor], [], [], _PIPE_PATIENCE)[0]:
            raise TimeoutError(errno.ETIMEDOUT, "nobody writes into this pipe")
        os.set_blocking(descriptor, True)
    elif not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device, not a file")
