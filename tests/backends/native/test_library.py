"""The native library is used where everything it needs is there; elsewhere the reason is given.

Processor, environment and folder are passed in, so that every reason can be tested on every machine.
"""

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest
import torch  # noqa: F401 # its OpenMP runtime is the library's

from spleeter.backends.native import library
from spleeter.backends.native.library import LIBRARY, REQUIRED_CPU_FLAGS, SOURCES, load_library

STRUCTURES: dict[str, list[type[ctypes.Structure]]] = {
    "activation.h": [library.Activation],
    "convolution.c": [library.ConvInput, library.ConvParams, library.ConvShape],
    "kernel_gradient.c": [library.KernelGradient],
    "norm_gradient.c": [library.NormGradient],
}


def major_version_of_gcc() -> int:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or not shutil.which("gcc"):
        return 0
    done = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    return int(done.stdout.partition(".")[0])


needs_gcc = pytest.mark.skipif(major_version_of_gcc() < 11, reason="there is no gcc that knows AMX")


@needs_gcc
def test_the_library_is_compiled_from_these_sources() -> None:
    """Or else everything that needs it would be skipped, and pass."""
    handle = ctypes.CDLL(str(SOURCES / LIBRARY))
    handle.source_checksum.restype = ctypes.c_uint32
    assert handle.source_checksum() == library.source_checksum(SOURCES), "compile it anew with `make install`"


@needs_gcc
def test_once_all_is_there_only_the_operating_system_can_refuse() -> None:
    found = load_library(SOURCES, REQUIRED_CPU_FLAGS, {"SPLEETER_AMX": "1"})
    assert (found.handle is None) == bool(found.reason)
    assert found.reason in ("", "the operating system does not permit AMX")


def test_it_is_switched_off_in_the_environment() -> None:
    handle, reason = load_library(SOURCES, REQUIRED_CPU_FLAGS, {"SPLEETER_AMX": "0"})
    assert handle is None
    assert reason == "switched off by SPLEETER_AMX=0 in the environment"


@pytest.mark.parametrize("flag", sorted(REQUIRED_CPU_FLAGS))
def test_a_processor_without_one_of_the_instructions_is_refused(flag: str) -> None:
    handle, reason = load_library(SOURCES, REQUIRED_CPU_FLAGS - {flag}, {})
    assert handle is None
    assert reason == f"this processor has no {flag}"


def test_a_library_that_is_missing_is_no_reason_to_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    handle, reason = load_library(tmp_path, REQUIRED_CPU_FLAGS, {})
    assert handle is None
    assert reason == f"{tmp_path / LIBRARY} is not there: the package was installed without gcc"
    assert not caplog.records


def with_checksum(content: bytes) -> bytes:
    return content + crc32(content).to_bytes(4, "little")


def truncated(share: float) -> bytes:
    library = (SOURCES / LIBRARY).read_bytes()
    return library[: int(share * len(library))]


def of_another_machine() -> bytes:
    content = bytearray((SOURCES / LIBRARY).read_bytes()[:-4])
    content[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    return with_checksum(bytes(content))


@needs_gcc
@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"\x7fELF that ends too early",
        lambda: with_checksum(b"no library"),
        *(partial(truncated, share) for share in (0.2, 0.5, 0.9, 0.99)),
        of_another_machine,
    ],
)
def test_a_library_that_is_damaged_is_refused_with_a_warning(tmp_path: Path, content: Callable[[], bytes]) -> None:
    """In a process of its own, for a library that is loaded although it was cut off kills the process."""
    (tmp_path / LIBRARY).write_bytes(content())
    code = (
        "from pathlib import Path; from spleeter.backends.native.library import *\n"
        f"print(load_library(Path({str(tmp_path)!r}), REQUIRED_CPU_FLAGS, {{}}).reason)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / LIBRARY} ")
    assert done.stdout.endswith("install the package again\n")
    assert done.stdout.count("\n") == done.stderr.count("\n") == 1
    assert "AMX is not used until then" in done.stderr


@needs_gcc
def test_a_library_of_other_sources_is_refused(tmp_path: Path) -> None:
    """As after an update, before it is installed."""
    folder = tmp_path / "native"
    shutil.copytree(SOURCES, folder)
    with (folder / "convolution.c").open("a", encoding="utf-8") as file:
        file.write("/* changed */\n")
    handle, reason = load_library(folder, REQUIRED_CPU_FLAGS, {})
    assert handle is None
    assert "compiled from other sources" in reason


@needs_gcc
@pytest.mark.parametrize("source", STRUCTURES)
def test_structures_agree_with_the_sources(tmp_path: Path, source: str) -> None:
    """Names, offsets and sizes of all fields: the compiler itself asserts them."""
    lines = ["#include <stddef.h>", f'#include "{SOURCES / source}"']
    for structure in STRUCTURES[source]:
        name = structure.__name__
        lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(structure)}, "sizeof {name}");')
        for field, *_ in structure._fields_:
            descriptor = getattr(structure, field)
            offset, size = f"offsetof({name}, {field})", f"sizeof((({name} *)0)->{field})"
            lines.append(f'_Static_assert({offset} == {descriptor.offset}, "offset of {name}.{field}");')
            lines.append(f'_Static_assert({size} == {descriptor.size}, "size of {name}.{field}");')
    check = tmp_path / "check.c"
    check.write_text("\n".join(lines) + "\n")
    options = ["-fsyntax-only", "-fopenmp", "-DSOURCES=0u", "-mavx512f", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"]
    done = subprocess.run(["gcc", *options, str(check)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_structures_are_compared() -> None:
    defined = {name for path in SOURCES.glob("*.[ch]") for name in re.findall(r"^} (\w+);", path.read_text(), re.M)}
    declared = {name for name, value in vars(library).items() if isinstance(value, type) and name in defined}
    assert declared == {structure.__name__ for structures in STRUCTURES.values() for structure in structures}
