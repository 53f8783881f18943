"""`spleeter separate` as a user or a script calls it: files, messages and exit codes."""

from __future__ import annotations

import os
import resource
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

from spleeter import __version__
from spleeter.__main__ import entrypoint
from spleeter.cli.console import console
from spleeter.types import Waveform
from tests.conftest import synthetic_music

Run = Callable[..., "Result"]

STEMS = {"vocals.wav", "drums.wav", "other.wav"}


class Result(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object) -> list[str]:
    """A command line for a process of its own."""
    return [sys.executable, "-m", "spleeter", *map(str, arguments)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Result]]:
    """Runs the command's entry point in this process, which spares every test the import of torch."""
    on_sigterm = signal.getsignal(signal.SIGTERM)
    console.cache_clear()

    def run_here(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["spleeter", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            entrypoint()
        return Result(int(ended.value.code or 0), *capsys.readouterr())

    yield run_here
    signal.signal(signal.SIGTERM, on_sigterm)
    console.cache_clear()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"Spleeter Version: {__version__}\n"
    usage = run("separate", "--help")
    assert usage.returncode == 0
    for option in (
        "--adapter", "--bitrate", "--codec", "--duration", "--offset", "--output_path", "--filename_format",
        "--params_filename", "--mwf", "--verbose", "--device", "--stems", "--mix", "--residual", "--bit-depth",
        "--clip", "--keep-sample-rate", "--skip-existing", "--quality", "--overlap", "--shifts", "--bandwidth",
        "--exact", "--plot",
    ):  # fmt: skip
        assert option in usage.stdout


def test_a_song_becomes_stems_and_nothing_is_printed(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    result = run("separate", "-p", tiny_model, "-o", out, song)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert names(out) == {f"song/{stem}" for stem in STEMS}


def test_every_option_of_the_original(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    result = run(
        "separate", "-p", tiny_model, "-o", out, "-c", "flac", "-b", "192k", "-d", "1.5", "-s", "0.5",
        "-f", "{foldername}/{filename}_{instrument}.{codec}", "-a", "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
        "--mwf", "--verbose", song,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    files = sorted((out / song.parent.name).iterdir())
    assert [file.name for file in files] == ["song_drums.flac", "song_other.flac", "song_vocals.flac"]
    assert all(soundfile.info(file).frames == round(1.5 * 44100) for file in files)


def test_the_old_input_option_names_the_replacement(run: Run, song: Path) -> None:
    for arguments in ((song,), (song, song)):
        result = run("separate", "-i", *arguments)
        assert result.returncode == 20
        assert "name the files directly" in result.stderr


def test_underscores_and_dashes_are_the_same(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    result = run("separate", "--params-filename", tiny_model, "--output-path", out, "--skip_existing", song)
    assert result.returncode == 0, result.stderr


def test_stems_mixes_and_residual(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    options = ("--stems", "vocals", "--mix", "band=drums+other", "--residual", "rest", "--bit-depth", 32)
    result = run("separate", "-p", tiny_model, "-o", out, *options, song)
    assert result.returncode == 0, result.stderr
    assert names(out) == {"song/vocals.wav", "song/band.wav", "song/rest.wav"}
    total = sum(soundfile.read(out / "song" / f"{name}.wav")[0] for name in ("vocals", "band", "rest"))
    np.testing.assert_allclose(total, soundfile.read(song)[0], atol=1e-6)


def test_folders_and_skipping_existing_outputs(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    album = song.parent / "album"
    album.mkdir()
    for name in ("a.wav", "b.wav", "notes.txt"):
        shutil.copy(song, album / name)
    assert run("separate", "-p", tiny_model, "-o", out, album).returncode == 0
    assert names(out) == {f"{name}/{stem}" for name in "ab" for stem in STEMS}
    (out / "b" / "drums.wav").unlink()
    before = (out / "a" / "vocals.wav").stat().st_mtime_ns, (out / "b" / "vocals.wav").stat().st_mtime_ns
    assert run("separate", "-p", tiny_model, "-o", out, "--skip-existing", album).returncode == 0
    assert (out / "a" / "vocals.wav").stat().st_mtime_ns == before[0]
    assert (out / "b" / "vocals.wav").stat().st_mtime_ns > before[1]
    assert (out / "b" / "drums.wav").exists()


def test_odd_names(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    odd = ["Ünï – 曲 🎵.wav", "-p.wav", "%03d.wav", "a b'c\"d.wav", "new\nline.wav", "#1?.wav", "http:.wav"]
    folder = song.parent / "odd"
    folder.mkdir()
    for name in odd:
        shutil.copy(song, folder / name)
    result = run("separate", "-p", tiny_model, "-o", out, folder)
    assert result.returncode == 0, result.stderr
    assert names(out) == {f"{name.removesuffix('.wav')}/{stem}" for name in odd for stem in STEMS}


def test_a_failing_song_fails_alone(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    broken = song.parent / "broken.wav"
    broken.write_bytes(b"no audio at all")
    result = run("separate", "-p", tiny_model, "-o", out, broken, song.parent / "missing.mp3", song)
    assert result.returncode == 1
    assert names(out) == {f"song/{stem}" for stem in STEMS}
    assert "2 of 3 failed:" in result.stderr
    assert result.stderr.count(str(broken)) == 2  # when it happens, and in the list at the end
    assert "missing.mp3: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.wav"], 2, "missing.wav: No such file or directory"),
        (["-p", "spleeter:2stem", "SONG"], 2, "did you mean"),
        (["-p", "nothing.json", "SONG"], 2, "nothing.json"),
        (["-p", "MODEL", "--stems", "vocal", "SONG"], 2, "did you mean 'vocals'"),
        (["-p", "MODEL", "--mix", "vocals+drums", "SONG"], 2, "NAME=STEM"),
        (["-p", "MODEL", "--device", "gpu", "SONG"], 2, "unknown device 'gpu'"),
        (["-p", "MODEL", "--bit-depth", "8", "SONG"], 2, "8"),
        (["-p", "MODEL", "-c", "mp3", "--bit-depth", "24", "SONG"], 2, "mp3"),
        (["-p", "MODEL", "-c", "mp3", "-b", "fast", "SONG"], 2, "fast"),
        (["-p", "MODEL", "--clip", "none", "SONG"], 2, "bit depth 32"),
        (["-p", "MODEL", "-f", "{song}.wav", "SONG"], 2, "fields are"),
        (["-p", "MODEL", "-f", "{filename}.wav", "SONG"], 2, "several stems one path"),
        (["-p", "MODEL", "-s", "99", "SONG"], 1, "long"),
        (["-p", "MODEL", "-s", "-1", "SONG"], 2, "--offset"),
        (["-p", "MODEL", "-a", "no.such.Adapter", "SONG"], 2, "no.such.Adapter"),
        (["-p", "MODEL", "-c", "mp4", "SONG"], 2, "mp4"),
        (["-i"], 2, "--inputs|-i"),
        (["-p", "MODEL", "-d", "0", "SONG"], 2, "--duration"),
        (["-p", "MODEL"], 2, "name at least one song"),
        (["-p", "MODEL", "--ouput_path", "x", "SONG"], 2, "--output_path|No such option"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    run: Run, tiny_model: Path, song: Path, out: Path, arguments: list[str], code: int, message: str
) -> None:
    filled = [{"SONG": str(song), "MODEL": str(tiny_model)}.get(argument, argument) for argument in arguments]
    result = run("separate", "-o", out, *filled)
    assert result.returncode == code, result.stderr
    assert any(part in result.stderr for part in message.split("|")), result.stderr
    assert "Traceback" not in result.stderr
    *usage, last = result.stderr.removesuffix("\n").split("\n")
    assert last.startswith(("error: ", "Error: "))
    assert all(line.startswith(("Usage: ", "Try ")) or not line for line in usage)
    assert not out.exists()


def test_two_songs_that_would_write_one_path_are_refused_before_any_work(
    run: Run, tiny_model: Path, song: Path, out: Path
) -> None:
    (song.parent / "other").mkdir()
    twin = shutil.copy(song, song.parent / "other" / "song.flac")
    result = run("separate", "-p", tiny_model, "-o", out, song, twin)
    assert result.returncode == 2
    assert "would both write" in result.stderr
    assert not out.exists()


def test_clipping_is_reported(run: Run, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    loud = 3 * synthetic_music(44100)
    soundfile.write(tmp_path / "loud.wav", loud, 44100, subtype="FLOAT")
    result = run("separate", "-p", tiny_model, "-o", out, tmp_path / "loud.wav", "--mix", "all=vocals+drums+other")
    assert result.returncode == 0
    assert "warning: samples beyond full scale were cut off" in result.stderr
    result = run(
        "separate",
        "-p",
        tiny_model,
        "-o",
        out,
        tmp_path / "loud.wav",
        "--mix",
        "all=vocals+drums+other",
        "--clip",
        "rescale",
    )
    assert "attenuated by" in result.stderr


@pytest.fixture
def long_song(tmp_path: Path, music: Waveform) -> Path:
    """Twenty minutes: long enough to be interrupted."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
        for _ in range(400):
            file.write(music)
    return path


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing(
    tiny_model: Path, long_song: Path, out: Path, number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        command("separate", "-p", tiny_model, "-o", out, long_song), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not names(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert names(out), "there are unfinished files to clean up"
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in messages
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_leaves_nothing(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    """A limit on the size of files stands for the disk: the write fails in the same way."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    arguments = command("separate", "-p", tiny_model, "-o", out, song)
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(run: Run, tiny_model: Path, song: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    result = run("separate", "-p", tiny_model, "-o", locked / "out", song)
    assert result.returncode == 1
    assert "Permission denied" in result.stderr
    assert list(locked.iterdir()) == []


def test_several_songs_at_a_time_in_half_precision(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    songs = [song.with_name(f"{letter}.wav") for letter in "abcde"]
    for other in songs:
        shutil.copy(song, other)
    result = run("separate", "-p", tiny_model, "-o", out, "--jobs", 3, "--precision", "bfloat16", *songs)
    assert result.returncode == 0
    assert {path.name for path in out.iterdir()} == set("abcde")


@pytest.mark.parametrize(
    ("redirection", "code"), [("", 0), (">&-", 0), ("2>&-", 0), (">/dev/full", 1)], ids=lambda value: str(value)
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_the_process_ends_as_it_should_wherever_its_output_goes(redirection: str, code: int) -> None:
    command = f"{sys.executable} -m spleeter --version {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--exact",), ("--exact", "--mwf"), ("-q", "fast"), ("--quality", "best"),
        ("--overlap", "0.3", "--shifts", "2"), ("--bandwidth", "11k"), ("--bandwidth", "full", "-q", "fast", "--mwf"),
    ],
)  # fmt: skip
def test_options_of_a_separation_change_the_stems(
    run: Run, tiny_model: Path, song: Path, out: Path, options: tuple[str]
) -> None:
    result = run("separate", "-p", tiny_model, "-o", out, *options, song)
    assert (result.returncode, result.stderr) == (0, "")
    assert names(out) == {f"song/{stem}" for stem in STEMS}
    usual = run("separate", "-p", tiny_model, "-o", out / "usual", song)
    assert usual.returncode == 0
    assert any((out / "song" / stem).read_bytes() != (out / "usual" / "song" / stem).read_bytes() for stem in STEMS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--exact", "-q", "best"), "leave out quality (overlap, shifts), bandwidth and precision"),
        (("--exact", "--overlap", "0.5"), "leave out quality"),
        (("--exact", "--shifts", "1"), "leave out quality"),
        (("--exact", "--precision", "bfloat16"), "leave out quality"),
        (("--exact", "--bandwidth", "full"), "leave out quality"),
        (("-q", "better"), "'better' is not one of 'fast', 'balanced', 'best'"),
        (("--bandwidth", "12k"), "'12k' is not one of '11k', '16k', 'full'"),
        (("--overlap", "1"), "overlap 1 is out of range: choose 0 to 0.9"),
        (("--shifts", "0"), "shifts 0 is out of range: choose a whole number from 1 to 64"),
    ],
)
def test_options_that_contradict_each_other_or_are_out_of_range(
    run: Run, tiny_model: Path, song: Path, out: Path, options: tuple[str], message: str
) -> None:
    result = run("separate", "-p", tiny_model, "-o", out, *options, song)
    assert result.returncode == 2
    assert message in result.stderr
    assert not out.exists()


def test_plot_writes_an_image_for_each_song(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    assert run("separate", "--plot", "-p", tiny_model, "-o", out, song).returncode == 0
    assert names(out) == {f"song/{name}" for name in (*STEMS, "spectrograms.png")}
    (out / "song" / "spectrograms.png").unlink()
    assert run("separate", "--plot", "--skip-existing", "-p", tiny_model, "-o", out, song).returncode == 0
    assert names(out) == {f"song/{name}" for name in (*STEMS, "spectrograms.png")}


def test_plot_without_matplotlib_is_refused_before_any_work(
    run: Run, tiny_model: Path, song: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spleeter.plotting.png.find_spec", lambda name: None)
    result = run("separate", "--plot", "-p", tiny_model, "-o", out, song)
    assert result.returncode == 2
    assert "pip install 'spleeter[plot]'" in result.stderr
    assert not out.exists()


def test_progress_bars_and_summary_on_a_terminal(
    run: Run, tiny_model: Path, song: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    console.cache_clear()
    twin = shutil.copy(song, song.with_name("twin.wav"))
    result = run("separate", "-p", tiny_model, "-o", out, song, twin)
    assert result.returncode == 0, result.stderr
    assert f"{tiny_model} on " in result.stderr
    assert "2 songs" in result.stderr
    assert f"2 songs separated into {out}" in result.stderr
    again = run("separate", "-p", tiny_model, "-o", out, "--skip-existing", song, twin)
    assert f"0 songs separated into {out}, 2 already there" in again.stderr
