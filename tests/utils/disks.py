"""A full disk, and what is written to one, for the tests of whatever writes files."""

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spleeter.types import PathLike


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


@contextmanager
def recorded_calls(folder: Path) -> Iterator[list[str]]:
    """Record what is synced and what is moved where, as "fsync PATH" and "replace PATH", in the order of the calls.

    Paths start from the folder, and the name of a hidden folder is HIDDEN. The test is skipped where the system does
    not tell the path of an open file.
    """
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell the path of an open file")
    calls: list[str] = []

    def record(call: str, function: Callable[..., Any], path_of: Callable[..., PathLike]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Any:
            path = os.path.relpath(os.fsdecode(path_of(*arguments)), folder)
            result = function(*arguments)
            calls.append(f"{call} {re.sub(r'[.]spleeter-[^/]*', 'HIDDEN', path)}")
            return result

        return recorded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", record("fsync", os.fsync, lambda file: Path(f"/proc/self/fd/{file}").readlink()))
        patch.setattr(os, "replace", record("replace", os.replace, lambda source, target: target))
        yield calls
