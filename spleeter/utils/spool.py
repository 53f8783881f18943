"""A waveform kept in an unnamed temporary file, for what is known only after its last sample, such as its peak."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from spleeter.errors import EncodeError
from spleeter.types import Waveform
from spleeter.utils.names import display_name, reason
from spleeter.utils.temporary import temporary_folder

__all__ = ["Spool"]

_BLOCK = 1 << 16  # samples
_SAMPLE_BYTES = 4  # float32


class Spool:
    """Stores the blocks of a waveform, and yields them again from the beginning.

    Args:
        folder: the file lies on its disk, unseen, and goes away with this object or its process; None takes the
            folder for temporary files.
        n_channels: channels of every block.

    Raises:
        EncodeError: here, by `write` or by `blocks`, if the file cannot be written or read.
    """

    def __init__(self, folder: Path | None, n_channels: int) -> None:
        self._folder, self._n_channels = folder, n_channels
        try:
            self._file = tempfile.TemporaryFile(dir=folder or temporary_folder())  # noqa: SIM115 - lives as long as this object
        except OSError as error:
            raise self._failure(error) from error

    def write(self, block: Waveform) -> None:
        """Append a block (samples, channels), float32."""
        try:
            self._file.write(np.ascontiguousarray(block, np.float32).data)
        except OSError as error:
            raise self._failure(error) from error

    def blocks(self) -> Iterator[Waveform]:
        """Yield what was written, from the beginning, in blocks (samples, channels) of at most 65,536 samples."""
        try:
            self._file.seek(0)  # writes out what is buffered
            while data := self._file.read(_BLOCK * self._n_channels * _SAMPLE_BYTES):
                yield np.frombuffer(data, np.float32).reshape(-1, self._n_channels)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Remove the file. Never raises; may be called twice."""
        with suppress(OSError):  # there may be no room for what is still buffered
            self._file.close()

    def _failure(self, error: OSError) -> EncodeError:
        where = "" if self._folder is None else f" in {display_name(self._folder)}"
        return EncodeError(f"cannot keep a temporary file{where}: {reason(error)}")
