"""Processes that make hidden folders, and what such a one leaves that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

RUN = [
    sys.executable,
    "-c",
    "import os, signal, sys; from pathlib import Path; "
    "from spleeter.utils.hidden_folder import HiddenFolder, remove_leftovers; exec(sys.argv[1])",
]
"""A process that executes the code it is given next."""


def leave_hidden_folder(parent: Path) -> None:
    """Have a process be killed that has a hidden folder with a file in `parent`."""
    code = (
        f"folder = HiddenFolder(Path({str(parent)!r})); (folder.path / 'file').touch(); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([*RUN, code], check=False)
    assert process.returncode == -signal.SIGKILL
