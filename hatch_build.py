"""Compiles spleeter/native while the package is built, where there is a processor and a compiler for it.

Everywhere else the package is built without it, and works without it.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "spleeter/native"
SOURCES = ["convolution.c", "gradient.c"]
LIBRARY = f"{FOLDER}/libsplit.so"
FLAGS = ["-O3", "-fPIC", "-fopenmp"]
INSTRUCTIONS = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "fma", "amx-tile", "amx-bf16"]


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds the compiled library to a wheel, whose tag then names the system it is for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called before a wheel, or an editable installation, is made."""
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return
        problem = self._compile(Path(self.root, FOLDER).resolve(), library)
        if problem:
            self.app.display_warning(f"installed without {LIBRARY}, which makes AMX processors faster: {problem}")
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"

    @staticmethod
    def _compile(folder: Path, library: Path) -> str:
        """Compile the sources in a folder into a library; returns what went wrong, or nothing.

        They are compiled for OpenMP but linked without it: the library of torch, which is there when this one is
        loaded, with its team of threads, is the one to be used.
        """
        compiler = os.environ.get("CC") or shutil.which("gcc")
        if not compiler:
            return "there is no gcc"
        options = [*FLAGS, *(f"-m{name}" for name in INSTRUCTIONS)]
        sources = [str(folder / name) for name in SOURCES]
        objects = [Path(name).with_suffix(".o").name for name in SOURCES]
        with TemporaryDirectory() as workplace:
            for arguments in (["-c", *options, *sources], ["-shared", *objects, "-o", str(library)]):
                command = [*compiler.split(), *arguments]
                try:
                    done = subprocess.run(command, cwd=workplace, capture_output=True, text=True, check=False)
                except OSError as error:
                    return str(error)
                if done.returncode:
                    return done.stderr.strip() or f"{compiler} failed"
        return ""
