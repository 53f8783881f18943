"""A full disk, for the tests of whatever writes files."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def disk_of(n_bytes: int) -> Iterator[None]:
    """Writing beyond so many bytes of a file fails; the test is skipped where the system has no such limit."""
    if importlib.util.find_spec("resource") is None:
        pytest.skip("this system cannot limit the size of files")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
