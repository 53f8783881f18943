"""The worked example of docs/own-model.md runs, and the page shows the very files."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from spleeter.backends.torch.weights import load_network
from spleeter.configuration import Configuration

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
