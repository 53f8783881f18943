"""Build hook: compiles the C sources in spleeter/backends/native on x86-64 Linux, if gcc is there.

Everywhere else the package is built without the library, and works without it.
"""

import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = "spleeter/backends/native"
LIBRARY = f"{SOURCES}/libsplit.so"
FLAGS = ["-O3", "-fPIC", "-fopenmp"]
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
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", "") or error
            self.app.display_warning(f"installed without {LIBRARY}, which speeds up AMX processors: {reason}")
            return
        if version != "editable":
            build_data["force_include"][str(library)] = LIBRARY
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"


def _compile(folder: Path, library: Path) -> None:
    """Compile the C sources of a folder into a shared library with gcc, whose OpenMP runtime is also torch's.

    They are compiled for OpenMP but not linked with it: torch has loaded the runtime, with its pool of threads, by
    the time this library is loaded.
    """
    checksum = crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
    options = [*FLAGS, f"-DSOURCES={checksum}u", *(f"-m{name}" for name in INSTRUCTIONS)]
    sources = sorted(folder.glob("*.c"))
    objects = [path.with_suffix(".o").name for path in sources]
    with TemporaryDirectory() as build_folder:
        for arguments in (["-c", *options, *map(str, sources)], ["-shared", *objects]):
            subprocess.run(["gcc", *arguments], cwd=build_folder, capture_output=True, text=True, check=True)
        shutil.move(Path(build_folder, "a.out"), library)
