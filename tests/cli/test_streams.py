"""Standard input, output and error of the commands: pipes, lines for programs, streams that are closed or unread."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.__main__ import entrypoint
from spleeter.cli.console import console
from spleeter.cli.streams import accept_any_text
from tests.conftest import TINY

STEMS = ("vocals", "drums", "other")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")

SPLEETER = f"{sys.executable} -m spleeter"


def shell(
    line: str, *arguments: object, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a line in a shell: SPLEETER is the command, $1, $2 and so on the arguments."""
    process = ["bash", "-c", line.replace("SPLEETER", SPLEETER), "bash", *map(os.fspath, map(str, arguments))]
    code = Path(__file__).parents[2]
    variables = {**os.environ, "PYTHONPATH": str(code), **(environment or {})}
    return subprocess.run(process, capture_output=True, env=variables, cwd=folder)


def test_the_original_s_lines_for_each_file_that_is_there(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    """As the original prints them: `echo` of a formatter of "%(levelname)s:%(name)s:%(message)s"."""
    broken, out = tmp_path / "broken.wav", tmp_path / "out"
    broken.write_bytes(b"no audio at all")
    done = shell('SPLEETER separate -q fast -p "$1" -o "$2" "$3" "$4"', tiny_model, out, song, broken)
    assert done.returncode == 1
    *written, error, summary = done.stdout.decode().splitlines()
    assert written == [f"INFO:spleeter:File {out / 'song' / name}.wav written succesfully" for name in STEMS]
    assert error.startswith(f"ERROR:spleeter:cannot read {broken}")
    assert summary == "ERROR:spleeter:1 of 2 failed:"
    assert f"error: cannot read {broken}".encode() in done.stderr


def test_a_model_that_cannot_be_had_is_an_original_line_too(song: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text(json.dumps({**TINY, "model_dir": "no-such-model"}))
    environment = {"MODEL_PATH": str(tmp_path / "models"), "GITHUB_HOST": "http://127.0.0.1:9"}
    done = shell('SPLEETER separate -p "$1" -o "$2" "$3"', model, tmp_path / "out", song, environment=environment)
    assert done.returncode == 1
    assert done.stdout.startswith(b"ERROR:spleeter:")
    assert done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


def test_through_pipes(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    """Of an mp4 FFmpeg needs the end first: a pipe is kept in a file."""
    mp4 = tmp_path / "song.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", song, "-c:a", "alac", mp4], check=True)
    line = 'cat "$2" | SPLEETER separate -q fast -p "$1" --stems vocals -c flac -o - - | cat'
    done = shell(line, tiny_model, mp4, folder=tmp_path)
    (tmp_path / "piped.flac").write_bytes(done.stdout)
    line = 'SPLEETER separate -q fast -p "$1" --stems vocals -c flac -o "$3" - < "$2"'
    assert shell(line, tiny_model, song, tmp_path / "out").returncode == 0
    piped, rate = soundfile.read(tmp_path / "piped.flac")
    filed, _ = soundfile.read(tmp_path / "out" / "stdin" / "vocals.flac")
    assert rate == 44100
    np.testing.assert_array_equal(piped, filed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "piped.flac", "song.mp4", "song.wav"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("""SPLEETER separate -p "$1" --stems vocals -o - "$2" "$3" | cat; exit ${PIPESTATUS[0]}""", "of 2 songs"),
        ("""SPLEETER separate -p "$1" -o - "$2" | cat; exit ${PIPESTATUS[0]}""", "vocals, drums, other of 1 song"),
        ("""SPLEETER separate -p "$1" --karaoke --plot -o - "$2" | cat; exit ${PIPESTATUS[0]}""", "a plot"),
        ("""script -qec 'SPLEETER separate -p "'$1'" --karaoke -o - "'$2'"' /dev/null""", "standard output"),
        ("""script -qec 'SPLEETER separate -p "'$1'" --karaoke -o /tmp -' /dev/null""", "is a terminal"),
        ("""SPLEETER separate -p "$1" --karaoke -o - - <&-""", "closed"),
    ],
)
def test_what_does_not_go_through_a_pipe(
    tiny_model: Path, song: Path, tmp_path: Path, line: str, message: str
) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(song.read_bytes())
    done = shell(line, tiny_model, song, other)
    assert done.returncode == 2
    text = (done.stdout + done.stderr).decode()
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('SPLEETER separate -q fast -p "$1" -o "$2" "$3" 2> >(true) | true; exit ${PIPESTATUS[0]}', 0),
        ('SPLEETER separate -q fast -p "$1" -o "$2" "$3" >/dev/full 2>/dev/full', 0),
        ('SPLEETER separate -q fast -p "$1" -o "$2" "$3" >&- 2>&-', 0),
        ('SPLEETER separate -q fast -p "$1" --karaoke -o - "$3" | true; exit ${PIPESTATUS[0]}', 141),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_streams_that_nobody_reads_end_no_work(
    tiny_model: Path, song: Path, tmp_path: Path, line: str, code: int
) -> None:
    done = shell(line, tiny_model, tmp_path / "out", song)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"roken pipe" not in done.stderr
    if code == 0:
        assert {path.stem for path in (tmp_path / "out" / "song").iterdir()} == set(STEMS)


@pytest.mark.parametrize("command", ["models path", "separate --help", "separate missing.mp3"])
@pytest.mark.parametrize("redirection", ["| true", "2>&-", "2>/dev/full"])
def test_no_command_ends_in_a_traceback(command: str, redirection: str) -> None:
    done = shell(f"SPLEETER {command} {redirection}")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no text")
def test_names_that_are_no_text(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    """The very bytes of the name go to programs; people get them escaped."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff \xc3\xa9"))
    folder.mkdir()
    odd = folder / os.fsdecode(b"s\xfeng.wav")
    odd.write_bytes(song.read_bytes())
    options = '-q fast -p "$1" --title-stem --plot -c flac'
    done = shell(f'SPLEETER separate {options} -o "$2/out" "$2" "$2/s"$\'\\xfd\'', tiny_model, folder)
    assert done.returncode == 1
    line = done.stdout.splitlines()[-3]
    path = line.removeprefix(b"INFO:spleeter:File ").removesuffix(b" written succesfully")
    assert Path(os.fsdecode(path)).is_file()
    assert b"No such file" in done.stderr
    assert b"unexpected" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="arguments that are no text")
@pytest.mark.parametrize(
    "arguments",
    [
        "separate -p ODD SONG", "separate --stems ODD SONG", "separate -c ODD SONG",
        "separate -s ODD SONG", "separate -b ODD -c mp3 SONG", "separate -f ODD SONG", "separate -a ODD SONG",
        "separate --device ODD SONG", "separate --odODD SONG", "ODD",
        "models convert ODD out", "dataset make ODD", "dataset check ODD", "train -p ODD", "evaluate --mus-dir ODD",
        "evaluate --mus-dir ODD --method ODD",
    ],
)  # fmt: skip
def test_arguments_that_are_no_text(
    song: Path, tmp_path: Path, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the streams of a process: as the interpreter opens stderr, as `main` sets stdout."""
    errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    accept_any_text()
    console.cache_clear()
    odd = os.fsdecode(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["spleeter", *arguments.replace("ODD", odd).replace("SONG", str(song)).split(" ")]
    )
    with pytest.raises(SystemExit) as ended:
        entrypoint()
    console.cache_clear()
    errors.seek(0)
    message = errors.read()
    assert "unexpected" not in message
    assert ended.value.code
    assert "rror: " in message
