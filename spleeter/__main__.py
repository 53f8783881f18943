"""Entry point of the command line: `spleeter`, or `python -m spleeter`."""

import os
import sys
from typing import NoReturn

from spleeter.cli.evaluate import evaluate
from spleeter.cli.main import app as spleeter
from spleeter.cli.main import entrypoint
from spleeter.cli.separate import separate
from spleeter.cli.streams import accept_any_text
from spleeter.cli.train import train

__all__ = ["entrypoint", "evaluate", "main", "separate", "spleeter", "train"]

_CANNOT_FLUSH = 120
"""Exit code of Python itself where stdout cannot be flushed."""


def main() -> NoReturn:
    """Run the command and exit without the interpreter's shutdown, which with torch takes half a second.

    What hooks into the shutdown, such as a profiler or a coverage tool, has to run `entrypoint` instead.
    """
    accept_any_text()
    try:
        entrypoint()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # None if it was closed when Python started
                stream.flush()
        except (OSError, ValueError):
            if stream is sys.stdout:  # a lost message is no failure
                code = code or _CANNOT_FLUSH
    os._exit(code)


if __name__ == "__main__":
    main()
