"""`spleeter evaluate` as a user or a script calls it: files, messages and exit codes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from spleeter.__main__ import entrypoint
from spleeter.configuration import Configuration
from spleeter.evaluation import evaluate as evaluation
from tests.conftest import synthetic_music

RATE = 44100
NAMES = ("vocals", "drums", "other")


class Result(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Result]]:
    """Runs `spleeter evaluate` in this process, which spares every test the import of torch."""
    on_sigterm = signal.getsignal(signal.SIGTERM)

    def run_here(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["spleeter", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            entrypoint()
        return Result(int(ended.value.code or 0), *capsys.readouterr())

    yield run_here
    signal.signal(signal.SIGTERM, on_sigterm)


Run = Callable[..., Result]


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Two tracks, in the layout of musdb18-HQ."""
    for number, track in enumerate(("Kéa – 1", "Kéa – 2")):
        folder = tmp_path / "songs" / "test" / track
        folder.mkdir(parents=True)
        stems = [0.3 * synthetic_music(2 * RATE, seed=3 * number + seed) for seed in range(3)]
        for name, stem in zip((*NAMES, "mixture"), [*stems, np.sum(stems, axis=0)], strict=True):
            soundfile.write(folder / f"{name}.wav", stem, RATE)
    return tmp_path / "songs"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def metrics(method: str, *tracks: str) -> set[str]:
    return {f"metrics/{method}/settings.json", *(f"metrics/{method}/test/{track}.json" for track in tracks)}


REPORT = {"scores-test.csv", "scores-test.md", "scores-test.png"}
TRACKS = ("Kéa – 1", "Kéa – 2")


def test_tracks_are_scored_and_a_second_method_adds_rows(run: Run, tiny_model: Path, songs: Path, out: Path) -> None:
    arguments = ("--mus_dir", songs, "-p", tiny_model, "-o", out)
    first = run(*arguments)
    assert first.returncode == 0
    assert re.sub(r"\d+\.\d", "S", first.stderr).splitlines() == [
        f"{track}: finished in S s ({number} of 2)" for number, track in enumerate(TRACKS, 1)
    ]
    audio = {f"audio/tiny/test/{track}/{name}.wav" for track in TRACKS for name in NAMES}
    assert names(out) == metrics("tiny", *TRACKS) | REPORT | audio
    written = {path: path.stat().st_mtime_ns for path in (out / "metrics").rglob("*.json")}

    adapter = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"
    second = run(*arguments, "--mwf", "--no-audio", "--device", "cpu", "-a", adapter, "--verbose")
    assert second.returncode == 0, second.stderr
    assert names(out) == metrics("tiny", *TRACKS) | metrics("tiny-mwf", *TRACKS) | REPORT | audio
    assert all(path.stat().st_mtime_ns == before for path, before in written.items())

    lines = second.stdout.splitlines()
    assert lines[0].split() == ["SDR", "SIR", "SAR", "ISR", "global", "SDR", "SI-SDR"]
    assert [line.split()[:2] for line in lines[1:7]] == [[m, n] for m in ("tiny", "tiny-mwf") for n in NAMES]
    assert lines[7:] == [str(out / name) for name in sorted(REPORT)]
    assert first.stdout.splitlines()[1].split()[2:] == lines[1].split()[2:]


def test_a_repeated_run_skips_every_track_and_prints_the_same(
    run: Run, tiny_model: Path, songs: Path, out: Path
) -> None:
    arguments = ("--mus_dir", songs, "-p", tiny_model, "-o", out, "--no-audio")
    first, second = run(*arguments), run(*arguments)
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")


def test_a_broken_track_fails_alone(run: Run, tiny_model: Path, songs: Path, out: Path) -> None:
    (songs / "test" / TRACKS[0] / "mixture.wav").write_bytes(b"no audio")
    result = run("--mus_dir", songs, "-p", tiny_model, "-o", out, "--no-audio")
    assert result.returncode == 1
    assert "mixture.wav" in result.stderr
    assert "1 of 2 tracks failed" in result.stderr
    assert names(out) == metrics("tiny", TRACKS[1]) | REPORT


def test_a_warning_is_printed_once(run: Run, tiny_model: Path, songs: Path, out: Path) -> None:
    broken = out / "metrics" / "other" / "test" / "broken.json"
    broken.parent.mkdir(parents=True)
    broken.touch()
    result = run("--mus_dir", songs, "-p", tiny_model, "-o", out, "--no-audio")
    assert result.returncode == 0
    assert result.stderr.count("broken.json") == 1


def test_the_name_of_a_method_has_the_whole_name_of_its_model(
    run: Run, tiny_model: Path, songs: Path, out: Path
) -> None:
    folder, file = out.with_name("tiny.v2"), out.with_name("my.model.json")
    shutil.copytree(tiny_model, folder)
    file.write_text(Configuration.load(folder).to_json(), encoding="utf-8")
    for model in (folder, file):
        run("--mus_dir", songs, "-p", model, "-o", out, "-q", "fast", "--no-audio")
    assert {path.name for path in (out / "metrics").iterdir()} == {"tiny.v2-fast", "my.model-fast"}


def test_wrong_usage(run: Run, tiny_model: Path, songs: Path, out: Path) -> None:
    for arguments, message in [
        (("--mus_dir", songs / "nowhere"), "there is no folder"),
        (("--mus_dir", songs, "--subset", "train"), "no tracks with stems"),
        (("--mus_dir", songs, "-p", "spleeter:9stems"), "9stems"),
        (("--mus_dir", songs, "-a", "no.such.Adapter"), "no.such.Adapter"),
        (("--mus_dir", songs, "--device", "abacus"), "abacus"),
        ((), "--mus-dir"),
    ]:
        result = run("-p", tiny_model, "-o", out, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr
    assert not out.exists()


def test_help_names_the_options(run: Run) -> None:
    usage = run("--help")
    assert usage.returncode == 0
    for option in ("--adapter", "--output", "--model", "--mus-dir", "--mwf", "--verbose", "--subset"):
        assert option in usage.stdout


@pytest.mark.parametrize(("step", "n_kept"), [("load_track", 0), ("score", 1)])
def test_a_signal_while_the_last_track_is_read_or_scored_ends_the_run(
    run: Run, tiny_model: Path, songs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, step: str, n_kept: int
) -> None:
    shutil.rmtree(songs / "test" / TRACKS[1])
    usual = getattr(evaluation, step)

    def interrupted(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return usual(*arguments)

    monkeypatch.setattr(evaluation, step, interrupted)
    result = run("--mus_dir", songs, "-p", tiny_model, "-o", out, "--no-audio")
    assert (result.returncode, result.stdout) == (130, "")
    assert f"interrupted; {n_kept} of 1 tracks finished" in result.stderr
    assert names(out) == metrics("tiny", *TRACKS[:n_kept])


def test_an_interrupted_run_keeps_finished_scores_and_resumes(
    run: Run, tiny_model: Path, songs: Path, out: Path
) -> None:
    tracks = [*TRACKS, "more 1", "more 2", "more 3"]  # enough that the signal arrives before the last
    for track in tracks[2:]:
        shutil.copytree(songs / "test" / TRACKS[0], songs / "test" / track)
    arguments = ["--mus_dir", str(songs), "-p", str(tiny_model), "-o", str(out), "--no-audio"]
    process = subprocess.Popen([sys.executable, "-m", "spleeter", "evaluate", *arguments], stderr=subprocess.PIPE)
    while process.poll() is None and not names(out) & metrics("tiny", *tracks) - {"metrics/tiny/settings.json"}:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    stderr = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, stderr
    assert names(out) < metrics("tiny", *tracks)
    assert run(*arguments).returncode == 0
    assert names(out) == metrics("tiny", *tracks) | REPORT
