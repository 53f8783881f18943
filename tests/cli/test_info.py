"""`spleeter info`: what it prints, and that nothing that is missing or broken ends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import spleeter
from spleeter.audio.codec import Codec
from spleeter.backends.base import backends
from spleeter.cli.info import DEPENDENCIES

REPOSITORY = Path(__file__).parents[2]

HEADINGS = [
    "Installation", "Dependencies", "Devices", "Backends", "Processor", "Threads", "Codecs", "Models", "Environment",
]  # fmt: skip


def info(folder: Path, sitecustomize: str = "", **environment: str) -> dict[str, dict[str, str]]:
    """Run the command in a process of its own; returns heading -> key -> value.

    Args:
        folder: of the models and, as a module that Python imports at its start, of `sitecustomize`.
        sitecustomize: code to run first.
        environment: variables to set.
    """
    (folder / "sitecustomize.py").write_text(sitecustomize)
    variables = {
        **os.environ,
        "MODEL_PATH": str(folder / "models"),
        "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY)]),
        **environment,
    }
    done = subprocess.run([sys.executable, "-m", "spleeter", "info"], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stderr) == (0, "")
    sections: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        if entry := re.fullmatch(r"  (.+?): (.+)", line):
            sections[list(sections)[-1]][entry[1]] = entry[2]
        else:
            assert line in HEADINGS
            sections[line] = {}
    assert list(sections) == HEADINGS
    return sections


def test_everything_that_a_bug_report_needs(tmp_path: Path) -> None:
    (tmp_path / "models" / "4stems").mkdir(parents=True)
    found = info(tmp_path, SPLEETER_AMX="0", GITHUB_HOST="https://me:secret@mirror.example/", OMP_NUM_THREADS="1")
    assert found["Installation"]["spleeter"] == spleeter.__version__
    assert Path(found["Installation"]["folder"]) == Path(spleeter.__file__).parent
    assert found["Dependencies"]["numpy"] == version("numpy")
    assert found["Devices"]["cpu"] == "available"
    assert found["Devices"]["auto"] in ("cpu", "cuda", "mps")
    assert found["Backends"].keys() >= backends().keys()
    assert found["Backends"]["torch"] == "available"
    assert found["Backends"]["native library (AMX)"] == "not used: switched off by SPLEETER_AMX=0 in the environment"
    assert found["Processor"].keys() == {
        "name", "architecture", "AVX2", "AVX-512", "AVX-512 BF16", "AMX", "AMX BF16"
    }  # fmt: skip
    assert found["Threads"]["CPUs"] == str(os.cpu_count())
    assert found["Threads"]["threads of torch"] == "1"
    assert found["Codecs"].keys() == {"FFmpeg", "libsndfile", *Codec}
    assert found["Codecs"]["flac"] == "available (16, 24 bit)"
    assert found["Models"]["folder"] == str(tmp_path / "models")
    assert found["Models"]["2stems"] == "not downloaded"
    assert found["Models"]["4stems"].startswith("incomplete: ")
    assert found["Environment"]["MODEL_PATH"] == str(tmp_path / "models")
    assert found["Environment"]["GITHUB_HOST"] == "https://***@mirror.example/"


TORCH_ABSENT = "import sys; sys.modules['torch'] = None"
TORCH_BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("libtorch.so: cannot open shared object file")
sys.meta_path.insert(0, Broken())
"""


def test_without_torch(tmp_path: Path) -> None:
    found = info(tmp_path, TORCH_ABSENT)
    assert found["Backends"]["torch"] == "torch is not installed"
    assert found["Devices"] == {
        "auto": "cpu", "cpu": "available", "cuda": "not available", "mps": "not available"
    }  # fmt: skip
    assert found["Threads"]["threads of torch"] == "unknown"


def test_with_a_torch_that_cannot_be_imported(tmp_path: Path) -> None:
    found = info(tmp_path, TORCH_BROKEN)
    reason = "ImportError: libtorch.so: cannot open shared object file"
    assert found["Devices"]["auto"] == f"error: {reason}"
    assert found["Devices"]["cpu"] == "available"
    assert reason in "".join(found["Backends"].values())


@pytest.mark.parametrize("place", ["a file", "nowhere", "a loop"])
def test_with_a_broken_folder_of_models(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    if place == "a file":
        path.touch()
    elif place == "a loop":
        path.symlink_to(path)
    found = info(tmp_path, MODEL_PATH=str(path))
    assert found["Models"]["folder"].startswith(str(path))
    assert found["Models"]["folder"] != str(path)
    assert found["Environment"]["MODEL_PATH"] == str(path)


def test_every_dependency_is_listed() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [wanted for extra, wanted in project["optional-dependencies"].items() if extra != "dev"]
    requirements = [*project["dependencies"], *(requirement for wanted in extras for requirement in wanted)]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}
    assert set(DEPENDENCIES) == names - {"spleeter"}
