"""Build hook: compiles the C sources in spleeter/backends/native on x86-64 Linux, if gcc is there.

Everywhere else the package is built without the library, and works without it.
"""

import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = "spleeter/backends/native"
LIBRARY = f"{SOURCES}/libsplit.so"
FLAGS = ["-O3", "-fPIC", "-fopenmp"]
TIME_LIMIT = 120  # seconds, of each call of the compiler: without the library the package works too
INSTRUCTIONS = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "fma", "amx-tile", "amx-bf16"]


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds the compiled library to a wheel and gives the wheel a platform tag."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library; called before a wheel or an editable installation is made."""
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return
        # An editable installation finds the library beside its sources; a wheel's is built elsewhere.
        self._build_folder = TemporaryDirectory()  # kept until the wheel is made
        library = Path(self.root if version == "editable" else self._build_folder.name, LIBRARY)
        try:
            library.parent.mkdir(parents=True, exist_ok=True)
            _compile(Path(self.root, SOURCES).resolve(), library)
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", None) or error
            self.app.display_warning(f"installed without {LIBRARY}, which speeds up AMX processors: {reason}")
            return
        if version != "editable":
            build_data["force_include"][str(library)] = LIBRARY
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"


def _compile(folder: Path, library: Path) -> None:
    """Compile the C sources of a folder into a shared library with gcc, whose OpenMP runtime is also torch's.

    They are compiled for OpenMP but not linked with it: torch has loaded the runtime, with its pool of threads, by
    the time this library is loaded. The CRC-32 of the library is put behind it, so that a damaged one is not loaded.
    """
    checksum = crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
    options = [*FLAGS, f"-DSOURCES={checksum}u", *(f"-m{name}" for name in INSTRUCTIONS)]
    sources = sorted(folder.glob("*.c"))
    objects = [path.with_suffix(".o").name for path in sources]
    with TemporaryDirectory() as build_folder:
        for arguments in (["-c", *options, *map(str, sources)], ["-shared", *objects]):
            _run(["gcc", *arguments], build_folder)
        content = Path(build_folder, "a.out").read_bytes()
        whole = Path(build_folder, "whole")
        whole.write_bytes(content + crc32(content).to_bytes(4, "little"))
        shutil.move(whole, library)


def _run(command: list[str], folder: str) -> None:
    """Run a command in a folder; it and all that it started end after the time limit.

    Raises:
        subprocess.SubprocessError: if it fails or takes longer.
    """
    with Path(folder, "errors").open("w+") as errors:  # no pipe: whoever holds its end could keep us waiting
        with subprocess.Popen(command, cwd=folder, stdout=errors, stderr=errors, start_new_session=True) as process:
            try:
                status = process.wait(TIME_LIMIT)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if status:
            errors.seek(0)
            raise subprocess.CalledProcessError(status, command, stderr=errors.read())
