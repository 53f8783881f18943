"""The script that plots the losses of trainings."""

import subprocess
import sys
from pathlib import Path

from spleeter.training.monitoring.history import HISTORY_FILE, History
from spleeter.training.state import TRAINING_FOLDER

SCRIPT = Path(__file__).parents[2] / "examples" / "curves.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_two_trainings_are_plotted(tmp_path: Path) -> None:
    for name, scale in (("first", 1.0), ("second", 10.0)):
        folder = tmp_path / name / TRAINING_FOLDER
        folder.mkdir(parents=True)
        history = History(folder / HISTORY_FILE, 0)
        for step in range(1, 60):
            history.add(step, "training", {"loss": scale / step})
            if step % 20 == 0:
                history.add(step, "validation", {"loss": 1.1 * scale / step})
        history.close()
    result = run(tmp_path / "first", tmp_path / "second", "-o", tmp_path / "curves.png")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_a_training_is_reported_in_a_line(tmp_path: Path) -> None:
    result = run(tmp_path, "-o", tmp_path / "curves.png")
    assert result.returncode != 0
    assert "history.csv" in result.stderr
    assert "Traceback" not in result.stderr
