"""The command's entry point: `spleeter`, or `python -m spleeter`."""

import os
import sys
from typing import NoReturn

from spleeter.cli.main import app as spleeter
from spleeter.cli.main import entrypoint
from spleeter.cli.separate import separate

__all__ = ["entrypoint", "main", "separate", "spleeter"]

_CANNOT_FLUSH = 120
"""Python's own exit code where what was printed cannot be written."""


def main() -> NoReturn:
    """Run the command and end the process there: to take torch apart first would take half a second.

    So whatever waits for the end of the interpreter, such as a profiler, is to run `entrypoint` instead.
    """
    try:
        entrypoint()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as it is where it was closed from the beginning
                stream.flush()
        except (OSError, ValueError):
            code = code or _CANNOT_FLUSH
    os._exit(code)


if __name__ == "__main__":
    main()
