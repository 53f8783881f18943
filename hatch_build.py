"""Compiles spleeter/backends/native while the package is built, where there is a processor and a compiler for it.

Everywhere else the package is built without it, and works without it.
"""

import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "spleeter/backends/native"
LIBRARY = f"{FOLDER}/libsplit.so"
FLAGS = ["-O3", "-fPIC", "-fopenmp"]
INSTRUCTIONS = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "fma", "amx-tile", "amx-bf16"]


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds the compiled library to a wheel, whose tag then names the system it is for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called before a wheel, or an editable installation, is made."""
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return
        # An editable installation finds it beside its sources; for a wheel these are left as they are.
        self._workplace = TemporaryDirectory()  # until the wheel is made
        library = Path(self.root if version == "editable" else self._workplace.name, LIBRARY)
        try:
            library.parent.mkdir(parents=True, exist_ok=True)
            _compile(Path(self.root, FOLDER).resolve(), library)
        except (OSError, subprocess.CalledProcessError) as error:
            problem = getattr(error, "stderr", "") or error
            self.app.display_warning(f"installed without {LIBRARY}, which makes AMX processors faster: {problem}")
            return
        if version != "editable":
            build_data["force_include"][str(library)] = LIBRARY
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"


def _compile(folder: Path, library: Path) -> None:
    """Compile the sources in a folder into a library, with gcc, the library of whose OpenMP is the one torch has.

    They are compiled for OpenMP but linked without it: torch's, with its team of threads, is there when the library
    is loaded.
    """
    checksum = crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
    options = [*FLAGS, f"-DSOURCES={checksum}u", *(f"-m{name}" for name in INSTRUCTIONS)]
    sources = sorted(folder.glob("*.c"))
    objects = [path.with_suffix(".o").name for path in sources]
    with TemporaryDirectory() as workplace:
        for arguments in (["-c", *options, *map(str, sources)], ["-shared", *objects]):
            subprocess.run(["gcc", *arguments], cwd=workplace, capture_output=True, text=True, check=True)
        shutil.move(Path(workplace, "a.out"), library)
