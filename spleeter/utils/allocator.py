"""A setting of the C library's allocator: memory that is freed is kept for the next block of a song.

By default glibc gives large blocks back to the system as soon as they are freed. Every block of a song then gets its
memory anew, page by page, which takes several times as long as the arithmetic on it. It also gives each thread a heap
of its own, so that what one thread has freed is of no use to another.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8  # malloc.h

_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX")
_TUNABLES = "GLIBC_TUNABLES"

_LARGEST = 32 << 20
"""Bytes: the largest block that glibc takes from its heap, where freed memory can stay."""

_KEPT = 256 << 20
"""Bytes that may stay at the end of the heap."""


_ALL = 2**31 - 1
"""More bytes than that cannot be asked for."""


def keep_freed_memory() -> None:
    """Set it for this process; nothing happens without glibc, or where the user has set it in the environment.

    Threads that have allocated something before keep their heaps.
    """
    _set({_M_MMAP_THRESHOLD: _LARGEST, _M_TRIM_THRESHOLD: _KEPT, _M_TOP_PAD: _LARGEST, _M_ARENA_MAX: 1})


def keep_all_memory() -> None:
    """Set it so that nothing is given back: for a training, each step of which takes what the one before freed."""
    _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _ALL, _M_TOP_PAD: _LARGEST})


def _set(options: Mapping[int, int]) -> None:
    set_by_user = any(name in os.environ for name in _VARIABLES) or "glibc.malloc" in os.environ.get(_TUNABLES, "")
    if set_by_user or not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in options.items():
        mallopt(option, value)
