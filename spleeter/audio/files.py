"""The file objects that FFmpeg and libsndfile read and write through: over a path or over a caller's file object.

Both libraries call `read`, `write` and `seek` out of C code, where an exception would be printed or lost. So none is
raised there, Ctrl-C included: the first one is kept, for `check` to raise.
"""

from __future__ import annotations

import errno
import io
import math
import os
import select
import stat
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO, Generic, Protocol, TypeGuard, TypeVar, cast

import av

from spleeter.errors import DecodeError, EncodeError, SpleeterError
from spleeter.types import FileSource, FileTarget, PathLike, ReadableFile, WritableFile
from spleeter.utils.names import display_name, reason, short
from spleeter.utils.temporary import temporary_folder
from spleeter.utils.whole_file import WholeFile

__all__ = ["AV_ERRORS", "InputFile", "OutputFile", "file_label", "is_path"]

AV_ERRORS = (av.FFmpegError, OSError, ValueError, LookupError, RuntimeError, AssertionError)
"""What PyAV raises where it or FFmpeg cannot cope."""

_PIPE_TIMEOUT = 5.0
"""Seconds within which a writer must have begun to write into a pipe."""

_COPY_SIZE = 1 << 20
"""Bytes copied to a caller's file object in one `write`."""


_Error = TypeVar("_Error", bound=SpleeterError)


def file_label(file: FileSource | FileTarget) -> str:
    """A file as it goes into a message: its path, or a file object's `name` if that is text; one line."""
    if is_path(file):
        return display_name(file)
    name = getattr(file, "name", None)
    return display_name(name) if isinstance(name, str) and name else "the file object"


class _File(Generic[_Error]):
    """A file whose methods FFmpeg calls: no error passes through FFmpeg, so it is kept until it can be raised.

    Args:
        label: the file in a message.
        verb: what is done with it in a message: "read" or "write".
        kind: of the error that is raised.
    """

    def __init__(self, label: str, verb: str, kind: type[_Error]) -> None:
        self.label, self._verb, self._kind = label, verb, kind
        self.error: BaseException | None = None
        """The first thing that went wrong."""

    def _keep(self, error: BaseException) -> None:
        """Keep the first error, but one that ends the program before all others."""
        if self.error is None or not isinstance(error, Exception):
            self.error = error

    def check(self) -> None:
        """Raise what went wrong so far, as an error of this file; what ends the program, as it is."""
        if self.error is not None:
            raise self.failure(reason(self.error)) from self.error

    def check_exit(self) -> None:
        """Raise what ends the program, such as KeyboardInterrupt, if it came meanwhile."""
        if self.error is not None and not isinstance(self.error, Exception):
            raise self.error

    def failure(self, what: str) -> _Error:
        """The error that says what is wrong with this file; raises what ends the program, if that came."""
        self.check_exit()
        return self._kind(f"cannot {self._verb} {self.label}: {what}")


class InputFile(_File[DecodeError]):
    """A file opened for reading.

    Args:
        source: a path; or a binary file object, which is read from its current position on as if the file began
            there, and not closed. A path is always a file or a pipe, never an address or a pattern.

    Raises:
        DecodeError: if it cannot be opened, or is no binary file object that can be read.
    """

    def __init__(self, source: FileSource) -> None:
        super().__init__(file_label(source), "read", DecodeError)
        self._is_own = is_path(source)
        self._file: Any = source  # a caller's object may have less than a BinaryIO
        name = getattr(source, "name", None)
        self.name = name if isinstance(name, str) else ""
        """FFmpeg's name of it: the extension counts when a format is guessed."""
        try:
            if is_path(source):
                self.name = os.fsdecode(source)
                self._file = _open(self.name)
            else:
                _check_object(source, "readable", "read")
        except (OSError, ValueError) as error:
            raise self.failure(reason(error)) from error
        self._is_seekable, self.start = _position(self._file)
        """`start` is the byte of a caller's object that counts as the first."""
        self._begin, self._end = self.start, math.inf
        self._patches: dict[int, int] = {}

    def patch(self, position: int, replacement: bytes) -> None:
        """Have `read` give other bytes at a position, counted from `start`, of a seekable file."""
        self._patches |= dict(enumerate(replacement, self.start + position))

    def narrow(self, begin: int, end: float = math.inf) -> None:
        """Take a range of bytes, counted from `start`, for the whole of a seekable file, and go to its beginning."""
        self._begin, self._end = self.start + begin, self.start + end
        self.seek(0)

    def read(self, size: int) -> bytes:
        """Read `size` bytes (bytes), fewer at the end only; none after an error."""
        try:
            if self.error is not None:
                return b""
            if self._end < math.inf:
                size = max(0, min(size, int(self._end) - self._file.tell()))
            if self._patches:
                return self._read_patched(size)
            return _read_fully(self._file, size)
        except BaseException as error:  # whatever a caller's object raises
            self._keep(error)
            return b""

    def _read_patched(self, size: int) -> bytes:
        begin = self._file.tell()
        block = bytearray(_read_fully(self._file, size))
        for position, byte in self._patches.items():
            if 0 <= position - begin < len(block):
                block[position - begin] = byte
        return bytes(block)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek as file objects do, counted from where the file began; returns a negative errno where it fails."""
        try:
            if whence == os.SEEK_END and self._end < math.inf:
                offset, whence = int(self._end) + offset, os.SEEK_SET
            elif whence == os.SEEK_SET:
                offset += self._begin
            position = self._file.seek(offset, whence)
            position = self._file.tell() if position is None else position
            return int(position) - self._begin
        except Exception as error:  # damaged files send FFmpeg to impossible places
            return -(getattr(error, "errno", None) or errno.EINVAL)
        except BaseException as error:
            self._keep(error)
            return -errno.EINTR

    def tell(self) -> int:
        return int(self._file.tell()) - self._begin

    def seekable(self) -> bool:
        return self._is_seekable

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._is_own:
            self._file.close()


class OutputFile(_File[EncodeError]):
    """A file in the making, for encoders to write to and seek in; nothing of it is seen before `commit`.

    Args:
        target: a path, beside which the bytes are collected in a hidden file; or a binary file object, for which they
            are collected in a temporary file, and which is written to by `commit` alone, and not closed.

    Raises:
        EncodeError: if the path cannot become a file, or the object is no binary file object that can be written to.
    """

    def __init__(self, target: FileTarget) -> None:
        super().__init__(file_label(target), "write", EncodeError)
        self._file: _Collector
        try:
            self._file = WholeFile(target) if is_path(target) else _ObjectFile(cast("WritableFile", target))
        except (OSError, ValueError) as error:
            raise self.failure(reason(error)) from error

    def read(self, size: int = -1) -> bytes:
        """Read what was written, to change it."""
        return self._file.read(size)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def flush(self) -> None:
        """Do nothing: `close` writes out what is buffered."""

    def write(self, data: bytes) -> int:
        try:
            if self.error is None:
                self._file.write(data)
        except BaseException as error:
            self._keep(error)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except BaseException as error:
            self._keep(error)
            return 0

    def tell(self) -> int:
        try:
            return self._file.tell()
        except BaseException as error:
            self._keep(error)
            return 0

    def close(self) -> None:
        """Write out what is buffered. Raises EncodeError."""
        try:
            self._file.close()
        except OSError as error:
            self._keep(error)
        self.check()

    def commit(self) -> None:
        """Move the closed file to its path, or copy it to the file object. Raises EncodeError."""
        try:
            self._file.commit()
        except Exception as error:  # whatever a caller's object raises
            raise self.failure(reason(error)) from error

    def discard(self) -> None:
        """Throw away what was collected. Never raises; may be called twice, and after `commit`."""
        self._file.discard()


class _Collector(Protocol):
    """Where an output file's bytes are collected: `WholeFile` or `_ObjectFile`."""

    def read(self, size: int = -1, /) -> bytes: ...
    def truncate(self, size: int | None = None, /) -> int: ...
    def write(self, data: bytes) -> int: ...
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...
    def commit(self) -> None: ...
    def discard(self) -> None: ...


class _ObjectFile:
    """Collects in an unnamed temporary file, so that a caller's object is given complete files alone.

    Raises:
        OSError, ValueError: here and by every method; `commit` raises what the object does.
    """

    def __init__(self, target: WritableFile) -> None:
        _check_object(target, "writable", "write")
        self._target = target
        self._file = tempfile.TemporaryFile(dir=temporary_folder())  # noqa: SIM115 - lives as long as this object

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.flush()

    def commit(self) -> None:
        self._file.seek(0)
        while block := self._file.read(_COPY_SIZE):
            _write_fully(self._target, block)
        if callable(flush := getattr(self._target, "flush", None)):
            flush()
        self.discard()

    def discard(self) -> None:
        with suppress(OSError):  # there may be no room for what is still buffered
            self._file.close()


def is_path(file: object) -> TypeGuard[PathLike]:
    """Whether this is a path, rather than a file object."""
    return isinstance(file, str | bytes | os.PathLike)


def _check_object(file: object, ability: str, method: str) -> None:
    """Raise ValueError unless a file object is open, binary, and "readable" or "writable"."""
    if not hasattr(file, method):
        raise ValueError(f"{short(file)} is neither a path nor a {ability} binary file object")
    if isinstance(file, io.TextIOBase):
        raise ValueError("it is a text file object; open it in binary mode")  # noqa: TRY004 - as files do
    if getattr(file, "closed", False):
        raise ValueError("it is closed")
    if callable(able := getattr(file, ability, None)) and not able():
        raise ValueError(f"it is not {ability}; open it in another mode")


def _position(file: object) -> tuple[bool, int]:
    """Whether a file object can seek, and where it stands, in bytes; 0 if it cannot."""
    with suppress(Exception):  # objects that cannot seek say so in many ways
        seekable = getattr(file, "seekable", None)
        if hasattr(file, "seek") and hasattr(file, "tell") and (seekable is None or seekable()):
            return True, int(file.tell())
    return False, 0


def _read_fully(file: ReadableFile, size: int) -> bytes:
    """Read `size` bytes, fewer at the end only. Raises what `file` does, and OSError if it gives no bytes."""
    blocks, n_missing = [], size
    while n_missing > 0:
        block = file.read(n_missing)
        if block is None:
            raise OSError(errno.EAGAIN, "its read gives nothing yet; it must block until there is something")
        if not isinstance(block, bytes | bytearray | memoryview):
            raise OSError(errno.EIO, f"its read gives {type(block).__name__}, not bytes; open it in binary mode")
        block = bytes(block)
        if len(block) > n_missing:  # FFmpeg's buffer would overflow
            raise OSError(errno.EIO, f"its read gives {len(block)} bytes where {n_missing} were asked for")
        if not block:
            break
        blocks.append(block)
        n_missing -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _write_fully(file: WritableFile, block: bytes) -> None:
    """Write all of a block. Raises what `file` does, and OSError if it takes nothing."""
    rest = memoryview(block)
    while len(rest):
        n_written = file.write(bytes(rest))
        if n_written is None and not isinstance(file, io.RawIOBase):
            return  # objects that do not count take everything
        if not n_written:
            raise OSError(errno.EAGAIN, "its write takes no bytes; it must block until it does")
        rest = rest[n_written:]


def _open(path: str) -> BinaryIO:
    """Open a file, or a pipe that is written to; a device, which may have no end, is refused."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for its writer, for ever
    descriptor = os.open(path, os.O_RDONLY | without_waiting | getattr(os, "O_BINARY", 0))
    try:
        _check_kind(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_kind(descriptor: int) -> None:
    """Raise OSError for what is no file and no pipe, and for a pipe that nobody writes to."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISFIFO(mode):
        if not select.select([descriptor], [], [], _PIPE_TIMEOUT)[0]:
            raise TimeoutError(errno.ETIMEDOUT, "nobody writes into this pipe")
        os.set_blocking(descriptor, True)
    elif not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device, not a file")
