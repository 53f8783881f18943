"""Run a command and record its time and peak memory. It is a script, and a process of its own, for a reason:

The peak memory that the system reports for a process begins with that of the process that started it, because the
two are one until the command's program is loaded. This one is small; the benchmarks, with torch, are not.

    python benchmarks/accounting.py REPORT COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path


def main() -> int:
    """Run it, write the report, and return the command's exit code."""
    report, *command = sys.argv[1:]
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    figures = {
        "wall_s": time.perf_counter() - start,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / (1e6 if platform.system() == "Darwin" else 1e3),
    }
    Path(report).write_text(json.dumps(figures))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
