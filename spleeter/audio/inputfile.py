"""The file object that FFmpeg reads through: one file, no exceptions inside C code."""

from __future__ import annotations

import errno
import os
from pathlib import Path


class InputFile:
    """A file opened for reading. FFmpeg calls `read` and `seek` where an exception would be printed or lost.

    Raises:
        OSError, ValueError: if it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.error: OSError | None = None
        """The first thing that went wrong with reading."""
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed by close

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
