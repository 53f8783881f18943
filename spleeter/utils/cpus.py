"""How many cores there are to compute with."""

import os
from math import ceil
from pathlib import Path

__all__ = ["available_cpus"]


def available_cpus() -> int:
    """The cores that this process may use, by its affinity and by the quota of its Linux container (cgroup v2)."""
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(n_cpus, ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such container, or "max"
        return n_cpus
