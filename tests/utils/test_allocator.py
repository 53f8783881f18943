"""Freed memory stays with the process, unless the user's environment decides otherwise."""

import os
import subprocess
import sys

import pytest

# How many pages the system has to hand out for the second to fifth of five blocks, each freed before the next.
COUNT_FAULTS = """
import resource
import numpy as np
from spleeter.utils.allocator import keep_freed_memory
keep_freed_memory()
np.ones(10 << 18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    np.ones(10 << 18)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    # numpy asks for huge pages, which would hide what is counted here
    usual["NUMPY_MADVISE_HUGEPAGE"] = "0"
    command = [sys.executable, "-c", COUNT_FAULTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**usual, **environment})
    return int(done.stdout)


def has_glibc() -> bool:
    try:
        return "glibc" in os.confstr("CS_GNU_LIBC_VERSION")  # type: ignore[operator]
    except (AttributeError, ValueError, OSError, TypeError):
        return False


@pytest.mark.skipif(not has_glibc(), reason="needs glibc")
def test_freed_memory_is_used_again() -> None:
    assert faults() * 4 < faults(MALLOC_TRIM_THRESHOLD_="0")
