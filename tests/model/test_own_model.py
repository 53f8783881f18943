"""The worked example of docs/own-model.md runs as written, and the page shows the very files."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spleeter.backends.torch.weights import load_network, save_network
from spleeter.configuration import Configuration
from spleeter.errors import ModelError
from spleeter.model.functions import build
from spleeter.separator import Separator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_model"


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    import_module("try_it").main(tmp_path / "model")
    printed = capsys.readouterr().out
    assert re.findall(r"^\w+(?=: 16000 samples)", printed, re.MULTILINE) == ["speech", "background"]
    assert "the stems add up to the mixture: True" in printed
    network = load_network(tmp_path / "model", Configuration.load(tmp_path / "model"), [EXAMPLE / "small_conv.py"])
    assert type(network).__name__ == "SmallConv"


@pytest.mark.parametrize("name", ["small_conv.py", "config.json"])
def test_page_shows_the_file(name: str) -> None:
    page = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    shown = re.search(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)\n```", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == (EXAMPLE / name).read_text(encoding="utf-8").strip()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the page: its examples, the model that they make, a song."""
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "own_model", ignore=shutil.ignore_patterns("__pycache__"))
    configuration = Configuration.load(EXAMPLE / "config.json")
    network = build(configuration, trust=EXAMPLE / "small_conv.py")
    save_network(tmp_path / "my_model", network, configuration)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (8_000, 2))
    soundfile.write(tmp_path / "song.mp3", noise, 16_000, format="WAV")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    """The page's blocks of code that are no files and no signatures."""
    page = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    found = re.findall(rf"(?<!-->\n)```{language}\n(.*?)```", page, re.DOTALL)
    return [block for block in found if not block.startswith("def ")]


@pytest.mark.usefixtures("workplace")
def test_the_pages_python_runs() -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, names)
    assert names["separator"].separate(np.zeros((100, 2), np.float32)).keys() == {"speech", "background"}
    assert type(names["network"]).__name__ == "SmallConv"


@pytest.mark.usefixtures("workplace")
def test_the_pages_commands_run() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    commands = [
        line.removeprefix("$ ")
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ spleeter separate")
    ]
    assert commands
    for command in commands:
        words = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if "No such option" in done.stderr:
            pytest.skip("the command has no --model-code")
        assert done.returncode == 0, done.stderr


def test_a_model_folder_alone_is_refused_with_the_way_to_allow_it(workplace: Path) -> None:
    silence = np.zeros((100, 2), np.float32)
    with pytest.raises(ModelError, match=r"--model-code small_conv\.py, or in Python trust=\['small_conv'\]"):
        Separator("my_model").separate(silence)
    shutil.copy(EXAMPLE / "small_conv.py", workplace / "my_model")  # it is the user who trusts, not the folder
    shutil.copy(EXAMPLE / "small_conv.py", workplace)
    with pytest.raises(ModelError, match="no model type"):
        Separator(workplace / "my_model", trust=["another.py"]).separate(silence)
    assert Separator("my_model", trust=["my_model/small_conv.py"]).separate(silence).keys() == {
        "speech",
        "background",
    }
