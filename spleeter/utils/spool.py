"""A waveform kept in a nameless temporary file, until what has to be known of all of it is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from spleeter.errors import EncodeError
from spleeter.types import Waveform
from spleeter.utils.names import display_name

_BLOCK = 1 << 16  # samples


class Spool:
    """Takes the blocks of a waveform, and gives them back once all are there.

    Args:
        folder: on whose disk it lies, unseen; it goes away with this object or its process.
        n_channels: of every block.

    Raises:
        EncodeError: here, by `write` or by `blocks`, if the disk does not take it.
    """

    def __init__(self, folder: Path, n_channels: int) -> None:
        self._folder, self._n_channels = folder, n_channels
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        except OSError as error:
            raise self._failure(error) from error

    def write(self, block: Waveform) -> None:
        """Append a block (samples, channels)."""
        try:
            self._file.write(np.ascontiguousarray(block, np.float32).data)
        except OSError as error:
            raise self._failure(error) from error

    def blocks(self) -> Iterator[Waveform]:
        """Yield what was written, from the beginning, in blocks (samples, channels)."""
        try:
            self._file.seek(0)  # writes out what is buffered
        except OSError as error:
            raise self._failure(error) from error
        while data := self._file.read(_BLOCK * self._n_channels * 4):
            yield np.frombuffer(data, np.float32).reshape(-1, self._n_channels)

    def close(self) -> None:
        """Throw it away. Never raises; may be called twice."""
        with suppress(OSError):  # there may be no room for what is still buffered
            self._file.close()

    def _failure(self, error: OSError) -> EncodeError:
        return EncodeError(f"cannot keep a temporary file in {display_name(self._folder)}: {error.strerror}")
