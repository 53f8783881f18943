"""Settings of the C library's allocator: freed memory is kept for the next block instead of returned to the system.

By default glibc returns large blocks to the system as soon as they are freed. Each new block is then mapped anew,
page by page, which takes several times as long as the arithmetic on it. glibc also gives each thread a heap (arena)
of its own, so that memory freed by one thread is of no use to another.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

__all__ = ["keep_all_memory", "keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8  # malloc.h

_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX")
_TUNABLES = "GLIBC_TUNABLES"

_HEAP_LIMIT = 32 << 20
"""Bytes: the largest block that glibc takes from its heap rather than maps (DEFAULT_MMAP_THRESHOLD_MAX)."""

_KEPT = 256 << 20
"""Bytes that may stay free at the end of the heap."""

_INT_MAX = 2**31 - 1
"""Bytes: the largest value that `mallopt` takes."""


def keep_freed_memory() -> None:
    """Keep freed blocks of up to 32 MiB in one heap, of which up to 256 MiB may be free: for a separation.

    Applies to this process; does nothing without glibc, or where the user has set glibc's variables. Threads that
    have allocated before keep their own heaps.
    """
    _set_options({_M_MMAP_THRESHOLD: _HEAP_LIMIT, _M_TRIM_THRESHOLD: _KEPT, _M_TOP_PAD: _HEAP_LIMIT, _M_ARENA_MAX: 1})


def keep_all_memory() -> None:
    """Return no freed block to the system: for a training, where each step allocates what the step before freed."""
    _set_options({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _INT_MAX, _M_TOP_PAD: _HEAP_LIMIT})


def _set_options(options: Mapping[int, int]) -> None:
    set_by_user = any(name in os.environ for name in _VARIABLES) or "glibc.malloc" in os.environ.get(_TUNABLES, "")
    if set_by_user or not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in options.items():
        mallopt(option, value)
