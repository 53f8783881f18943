"""Standard input and output of a command: songs and stems through pipes, and the original's lines for programs."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from typer import BadParameter, echo

from spleeter.errors import DecodeError, SpleeterError
from spleeter.utils.logging import logger
from spleeter.utils.names import reason
from spleeter.utils.temporary import temporary_folder

__all__ = [
    "STDIN",
    "accept_any_text",
    "open_stdin",
    "open_stdout",
    "original_lines",
    "print_written",
    "quiet_if_unread",
]

STDIN = Path("/dev/stdin")
"""Stands for standard input among the songs."""

_UNREAD = 141
"""Exit code of a shell's command that SIGPIPE ends, 128 + 13."""

_ORIGINAL_FORMAT = "%(levelname)s:%(name)s:%(message)s"
_ANY_TEXT = "spleeter-any-text"


def _encode_anyway(error: UnicodeError) -> tuple[str | bytes, int]:
    """Give back the bytes that a file name consists of where they are no text, and escape what else does not fit."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(_ANY_TEXT, _encode_anyway)


def accept_any_text() -> None:
    """Have standard output take every file name, whatever its encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ANY_TEXT)


class _StandardInput(io.BufferedReader):
    name = "standard input"


def open_stdin() -> BinaryIO:
    """Standard input as a file that can seek: a pipe's bytes are first kept in a temporary file.

    Raises:
        BadParameter: if it is a terminal.
        DecodeError: if it is closed, or cannot be kept.
    """
    if sys.stdin is None:
        raise DecodeError("cannot read standard input: it is closed")
    if sys.stdin.isatty():
        raise BadParameter("- reads a song from standard input, which is a terminal: pipe a file into it")
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    if stream.seekable():
        return _StandardInput(stream.raw)
    try:
        spooled = tempfile.TemporaryFile(buffering=0, dir=temporary_folder())  # noqa: SIM115 - lives as long as it is read
        shutil.copyfileobj(stream, spooled)
        spooled.seek(0)
    except OSError as error:
        raise DecodeError(f"cannot keep standard input in a temporary file: {reason(error)}") from error
    return _StandardInput(spooled)


def open_stdout() -> BinaryIO:
    """Standard output, for the bytes of a file. Raises BadParameter if it is a terminal, or closed."""
    if sys.stdout is None or sys.stdout.isatty():
        raise BadParameter(
            "- writes the sound to standard output: pipe it into a program or redirect it into a file",
            param_hint="--output",
        )
    return sys.stdout.buffer


@contextmanager
def quiet_if_unread() -> Iterator[None]:
    """Within this context the command ends without a message where nobody reads standard output any more."""
    try:
        yield
    except SpleeterError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise SystemExit(_UNREAD) from error
        raise


@contextmanager
def original_lines() -> Iterator[None]:
    """Within this context errors are on standard output too, in the original's form, unless it is a terminal."""
    if _is_for_people():
        yield
        return
    handler = _OriginalHandler(logging.ERROR)
    handler.setFormatter(logging.Formatter(_ORIGINAL_FORMAT))
    logger.addHandler(handler)
    try:
        yield
    except SpleeterError as error:
        _print_for_programs(f"ERROR:spleeter:{' '.join(str(error).split())}")
        raise
    finally:
        logger.removeHandler(handler)


def print_written(paths: Iterable[Path]) -> None:
    """Print the original's line, misspelt as it is, for each file that is there, unless stdout is a terminal."""
    if not _is_for_people():
        _print_for_programs("\n".join(f"INFO:spleeter:File {path} written succesfully" for path in paths))


class _OriginalHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _print_for_programs(self.format(record).partition("\n")[0])


def _is_for_people() -> bool:
    """Whether standard output is a terminal; nobody reads one that is closed."""
    return sys.stdout is None or sys.stdout.isatty()


def _print_for_programs(lines: str) -> None:
    """Print lines; once nobody reads them any more, nothing."""
    try:
        echo(lines)
    except UnicodeEncodeError:  # where `accept_any_text` was not called
        echo(lines.encode("ascii", "backslashreplace"))
    except (OSError, ValueError) as error:
        sys.stdout = Path(os.devnull).open("w", errors="replace")  # noqa: SIM115 - until the process ends
        if getattr(error, "errno", None) != errno.EPIPE:
            logger.warning("cannot write to standard output: %s", reason(error))
