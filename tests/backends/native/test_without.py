"""Without the compiled library, or switched off, everything works as on other processors."""

import ctypes
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spleeter.backends.native import library
from spleeter.backends.torch import amx

PREPARE = """
import torch
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.backends.torch.inference import for_inference
network = for_inference(build(Configuration.load("spleeter:2stems")), torch.device("cpu"))
print(type(network.networks[0]).__name__)
"""

needs_amx = pytest.mark.skipif(not amx.is_available(), reason="AMX cannot be used here in the first place")


@pytest.fixture
def looked_for_anew() -> Iterator[None]:
    library.library.cache_clear()
    yield
    library.library.cache_clear()


@needs_amx
@pytest.mark.parametrize(("value", "expected"), [("0", "_PreparedUNet"), ("1", "SplitUNet")])
def test_it_is_switched_off_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv("SPLEETER_AMX", value)
    done = subprocess.run([sys.executable, "-c", PREPARE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.usefixtures("looked_for_anew")
@pytest.mark.parametrize("content", [None, b"", b"\x7fELF that ends too early"])
def test_a_library_that_is_not_there_or_cannot_be_loaded_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "libsplit.so"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(library, "_LIBRARY", file)
    assert not amx.is_available()


@pytest.mark.usefixtures("looked_for_anew")
def test_other_processors_do_not_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_CPU_FLAGS", {*library._CPU_FLAGS, "an_extension_that_is_yet_to_come"})
    assert not amx.is_available()


@needs_amx
@pytest.mark.usefixtures("looked_for_anew")
def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update whose installation is still to come."""
    monkeypatch.setattr(library, "_checksum", lambda: 0)
    assert not amx.is_available()


def major_version_of_gcc() -> int:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or not shutil.which("gcc"):
        return 0
    done = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    return int(done.stdout.partition(".")[0])


@pytest.mark.skipif(major_version_of_gcc() < 11, reason="there is no gcc that knows AMX")
def test_where_it_can_be_compiled_it_has_been() -> None:
    """Or else everything that needs it would be skipped, and pass."""
    compiled = ctypes.CDLL(str(library._LIBRARY))
    compiled.sources.restype = ctypes.c_uint32
    assert compiled.sources() == library._checksum(), "`make install` compiles it anew"
