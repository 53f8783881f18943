"""`spleeter train` and `spleeter dataset make`, as a user calls them."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spleeter.cli.console import console
from spleeter.cli.main import app
from spleeter.data import excerpts, inspection
from spleeter.training.monitoring.history import read_history
from tests.data.songs import SMALL, write_songs


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A training of six steps."""
    values = {
        **SMALL,
        "model_dir": str(tmp_path / "model"),
        "train_csv": str(write_songs(tmp_path / "train")),
        "validation_csv": str(write_songs(tmp_path / "validation", 1, first_seed=100)),
        "training_cache": str(tmp_path / "cache"),
    }
    path = tmp_path / "small.json"
    path.write_text(json.dumps(values))
    return path


def changed(config: Path, **changes: object) -> Path:
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return config


def test_train_evaluate_separate(config: Path, tmp_path: Path) -> None:
    result = run("train", "-p", config)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'model'}: trained for 6 steps; the model is that of step" in result.stdout
    assert "training from the beginning to step 6, on cpu" in result.stderr
    song = tmp_path / "train" / "song0" / "vocals.wav"
    result = run("separate", "-p", config, "-o", tmp_path / "out", song)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "vocals" / "accompaniment.wav").exists()


def test_resuming_and_being_done(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run("train", "-p", config).exit_code == 0
    result = run("train", "-p", config)
    assert result.exit_code == 0
    assert "is at step 6 already: raise train_max_steps to train on" in result.stderr
    result = run("train", "-p", changed(config, train_max_steps=8, learning_rate=0.001))
    assert result.exit_code == 0
    assert "going on with learning_rate = 0.001, which was 0.01 before" in result.stderr
    assert "training on from step 6 to step 8" in result.stderr
    assert "trained for 8 steps" in result.stdout


def test_progress_bars_on_a_terminal(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    console.cache_clear()
    result = run("train", "-p", config)
    console.cache_clear()
    assert result.exit_code == 0, result.output
    assert re.search(r"6/6.*loss [0-9.]+, [0-9.]+ \w+/\w+, data wait", result.stderr)
    assert f"try it: spleeter separate -p {config.parent / 'model'} SONG" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["-p", "nix.json"], 2, "configuration file nix.json not found"),
        (["-p", "{config}", "-a", "no.Adapter"], 2, "no audio adapter 'no.Adapter'"),
        (["-p", "{config}", "--from", "nix"], 2, "no model nix: there are spleeter:2stems"),
        (["-p", "{config}", "--device", "tpu"], 1, "unknown device 'tpu'"),
        (["-p", "{config}", "--parts", "3"], 1, "batch_size = 4 cannot be split evenly"),
        (["-p", "spleeter:2stems"], 1, "path/to/train.csv: cannot be read: No such file"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], code: int, complaint: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "spleeter", "train", *(text.format(config=config) for text in arguments)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == code, result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_is_reported(number: signal.Signals, config: Path, tmp_path: Path) -> None:
    changed(config, train_max_steps=1_000_000, save_checkpoints_steps=500_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "spleeter", "train", "-p", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    history = tmp_path / "model" / "training" / "history.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (history.exists() and read_history(history)):
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    steps = {figure.step for figure in read_history(history)}
    assert f"interrupted; step {max(steps)} is saved in {tmp_path / 'model'}" in errors
    assert "Traceback" not in errors
    changed(config, train_max_steps=max(steps) + 1)
    result = run("train", "-p", config)
    assert result.exit_code == 0, result.output
    assert f"training on from step {max(steps)}" in result.stderr


@pytest.mark.parametrize(
    ("cache", "kept"),
    [("cache", "finished excerpts are kept in the cache"), (None, "no excerpts are kept without training_cache")],
)
def test_a_signal_before_the_first_step_says_what_is_kept(
    cache: str | None, kept: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(config, training_cache=cache and str(tmp_path / cache), validation_cache=None)
    in_temporary = tmp_path / "temporary"
    in_temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(in_temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def inspect_and_interrupt(song: Any, *arguments: Any) -> Any:
        if song.name == "song2":
            deadline = time.monotonic() + 20
            while cache and not list(tmp_path.glob("cache/*.json")) and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGTERM)
        return inspection.inspect_song(song, *arguments)

    monkeypatch.setattr(excerpts, "inspect_song", inspect_and_interrupt)
    result = run("train", "-p", config)
    assert result.exit_code == 128 + signal.SIGTERM, result.output
    assert f"interrupted; no step was made; {kept}" in result.stderr
    assert bool(list(tmp_path.glob("cache/*.npy"))) == (cache is not None)
    assert not list(in_temporary.glob(".spleeter-*"))


def test_lists_are_made_of_tracks(config: Path, tmp_path: Path) -> None:
    train, validation = tmp_path / "made.csv", tmp_path / "validation.csv"
    result = run(
        *("dataset", "make", tmp_path / "train", "-p", config, "-o", train),
        *("--validation", "song1", "--validation_output", validation),
    )
    assert result.exit_code == 0, result.output
    assert f"{train}: 2 songs, 0.1 minutes" in result.stdout
    assert validation.read_text().splitlines()[1] == "train/song1/vocals.wav,train/song1/accompaniment.wav,4.000"
    assert run("dataset", "check", "-p", config, train, validation).exit_code == 0
    again = run("dataset", "make", tmp_path / "train", "-p", config, "-o", train)
    assert again.exit_code == 2
    assert "exists: choose another name, or overwrite it with --force" in again.stderr


def test_two_lists_are_not_written_to_one_file(config: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    result = run(
        *("dataset", "make", tmp_path / "train", "-p", config, "--validation", "1"),
        *("-o", made, "--validation-output", tmp_path / "train" / ".." / "made.csv"),
    )
    assert result.exit_code == 2
    assert "both lists would be written" in result.stderr
    assert not made.exists()


@pytest.mark.parametrize(
    ("validation", "complaint"),
    [("song9", "there is no such song; there are song0, song1, song2"), ("3", "leaves no song to train on")],
)
def test_songs_to_validate_on_must_be_there(validation: str, complaint: str, config: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    result = run("dataset", "make", tmp_path / "train", "-p", config, "-o", made, "--validation", validation)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
    assert not made.exists()
