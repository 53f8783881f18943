"""The folder for temporary files, looked for when one is needed rather than when a module is imported."""

import errno
from pathlib import Path
from tempfile import gettempdir

__all__ = ["temporary_folder"]


def temporary_folder() -> Path:
    """The folder for temporary files: that of TMPDIR, else the system's.

    Raises:
        FileNotFoundError: if none can be written to; its text names the remedy.
    """
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        text = "no folder for temporary files can be written to; name one in the environment variable TMPDIR"
        raise FileNotFoundError(errno.ENOENT, text) from error
