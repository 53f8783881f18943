"""The commands where there is no folder for temporary files, no home, and no place to write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NO_TEMPORARY_FOLDER = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/nonexistent/one", "/nonexistent/two"]
from spleeter.__main__ import entrypoint
entrypoint()
"""


def run(*arguments: object, home: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command where no folder for temporary files can be used."""
    environment = {**os.environ, "TMPDIR": "/nonexistent", "PYTHONPATH": str(Path(__file__).parents[2])}
    if not home:
        environment = {key: environment[key] for key in ("PYTHONPATH", "TMPDIR")}
    process = [sys.executable, "-c", NO_TEMPORARY_FOLDER, *map(str, arguments)]
    return subprocess.run(process, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("arguments", ["--help", "models list"])
def test_commands_without_a_folder_for_temporary_files(arguments: str) -> None:
    for home in (True, False):
        done = run(*arguments.split(), home=home)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        assert done.stderr == ""


def test_a_separation_needs_no_temporary_folder(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    done = run("separate", "-p", tiny_model, "-o", tmp_path / "out", "--clip", "rescale", song)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "song" / "vocals.wav").is_file()


def test_what_needs_one_names_the_remedy(tiny_model: Path, song: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for line in ("separate -p $1 --karaoke -o - $2 > /dev/null", "separate -p $1 - < <(cat $2)"):
        process = ["bash", "-c", f'python="$0"; code="$3"; "$python" -c "$code" {line}']
        arguments = [sys.executable, str(tiny_model), str(song), NO_TEMPORARY_FOLDER]
        done = subprocess.run([*process, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode in (1, 2)
        assert "TMPDIR" in done.stderr
        assert "Traceback" not in done.stderr
