"""`spleeter separate` as a user or a script calls it: files, messages and exit codes."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from spleeter import __version__
from spleeter.__main__ import entrypoint
from spleeter.audio.codec import Codec
from spleeter.cli.console import console
from spleeter.types import Waveform
from tests.conftest import synthetic_music

Run = Callable[..., "Result"]

STEMS = {"vocals.wav", "drums.wav", "other.wav"}
ADAPTER = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"


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
        "--adapter", "--bitrate", "--codec", "--duration", "--offset", "--output", "--filename-format",
        "--model", "--mwf", "--verbose", "--device", "--stems", "--mix", "--residual", "--bit-depth",
        "--clip", "--keep-sample-rate", "--skip-existing", "--quality", "--overlap", "--shifts", "--bandwidth",
        "--exact", "--plot",
    ):  # fmt: skip
        assert option in usage.stdout


def test_a_song_becomes_stems_and_a_line_tells_so(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    result = run("separate", "-p", tiny_model, "-o", out, song)
    assert result.returncode == 0
    assert re.fullmatch(r"song\.wav: finished in \d+\.\d s\n", result.stderr)
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


@pytest.mark.parametrize("spelling", ["-i", "--inputs", "--audio_filenames"])
def test_songs_after_the_old_input_option(run: Run, tiny_model: Path, song: Path, out: Path, spelling: str) -> None:
    """`-i a b` is of version 1, `-i a -i b` of programs that meant well."""
    a, b, c = (Path(shutil.copy(song, song.with_name(f"{letter}.wav"))) for letter in "abc")
    result = run("separate", "-p", tiny_model, "-o", out, spelling, a, b, spelling, c)
    assert result.returncode == 0
    assert result.stderr.startswith("-i is deprecated")
    assert {path.name for path in out.iterdir()} == set("abc")


@pytest.mark.parametrize(
    "options",
    [
        "-p MODEL -o OUT -f {instrument}.{codec} -c flac -b 64k -d 1 -s 1",
        "--params_filename MODEL --output_path OUT --filename_format {instrument}.{codec} --codec flac --bitrate 64k "
        f"--duration 1 --offset 1 --mwf --verbose --adapter {ADAPTER}",
        f"-p MODEL -o OUT -f {{instrument}}.{{codec}} --audio_codec flac -m --max_duration 1.0 -a {ADAPTER}",
        "-p MODEL -o OUT -f {instrument}.{codec} -c flac -d 1 -B librosa",
        "-p MODEL -o OUT -f {instrument}.{codec} -c FLAC -d 1 --stft-backend tensorflow",
        "-p MODEL -o OUT -f {instrument}.{codec} -c flac -d 1 --stft_backend=auto",
        "--model MODEL --output OUT --filename-format {instrument}.{codec} --codec flac --duration 0:01",
    ],
)
def test_options_in_every_spelling_that_there_was(
    run: Run, tiny_model: Path, song: Path, out: Path, options: str
) -> None:
    filled = [{"MODEL": str(tiny_model), "OUT": str(out)}.get(option, option) for option in options.split()]
    result = run("separate", *filled, song)
    assert result.returncode == 0, result.stderr
    assert names(out) == {"vocals.flac", "drums.flac", "other.flac"}
    assert soundfile.info(out / "vocals.flac").frames == 44100


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
    for name in ("a.wav", "b.wav"):
        shutil.copy(song, album / name)
    (album / "notes.txt").write_text("no audio")
    result = run("separate", "-p", tiny_model, "-o", out, album)
    assert result.returncode == 0
    assert result.stderr.startswith("1 file without audio left out: 1 .txt\n")
    assert "b.wav: finished in" in result.stderr
    assert result.stderr.endswith("(2 of 2)\n")
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
        (["-p", "htdemucs", "SONG"], 2, "there are spleeter:2stems"),
        (["-p", "2stems", "SONG"], 2, "did you mean 'spleeter:2stems'"),
        (["-p", "MODEL", "-c", "aac", "SONG"], 2, "did you mean 'm4a'"),
        (["-p", "MODEL", "-s", "1m", "SONG"], 2, "1:30"),
        (["-p", "MODEL", "--stream", "7", "SONG"], 1, "no audio stream 7"),
        (["-p", "MODEL", "--mix", "x=loud*vocals", "SONG"], 2, "-6dB"),
        (["-p", "MODEL", "--threads", "0", "SONG"], 2, "--threads"),
        (["-i"], 2, "--inputs|-i"),
        (["-p", "MODEL", "-d", "0", "SONG"], 2, "--duration"),
        (["-p", "MODEL"], 2, "name at least one song"),
        (["-p", "MODEL", "--ouput", "x", "SONG"], 2, "did you mean --output?"),
        (["-p", "MODEL", "--ouput_path", "x", "SONG"], 2, "did you mean --output?"),
        (["-p", "MODEL", "--keep_sample-rat", "SONG"], 2, "did you mean --keep-sample-rate?"),
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
    assert result.returncode == 2
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
    assert result.returncode == 0, result.stderr
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
    assert f"2 songs into {out}" in result.stderr
    assert f"{tiny_model} on " in result.stderr
    assert "finished in" not in result.stderr
    assert "2 songs" in result.stderr
    assert f"2 songs separated into {out}" in result.stderr
    again = run("separate", "-p", tiny_model, "-o", out, "--skip-existing", song, twin)
    assert f"0 songs separated into {out}, 2 already there" in again.stderr


def test_a_song_without_its_vocals(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    assert (
        run("separate", "-p", tiny_model, "-o", out, "-q", "fast", "--karaoke", "--bit-depth", 32, song).returncode
        == 0
    )
    assert names(out) == {"song/karaoke.wav"}
    options = ("--stems", "vocals,instrumental", "-f", "{instrument}.wav", "--bit-depth", 32)
    assert run("separate", "-p", tiny_model, "-o", out, "-q", "fast", *options, song).returncode == 0
    vocals, instrumental = (soundfile.read(out / f"{name}.wav")[0] for name in ("vocals", "instrumental"))
    np.testing.assert_allclose(vocals + instrumental, soundfile.read(song)[0], atol=1e-6)
    np.testing.assert_array_equal(soundfile.read(out / "song" / "karaoke.wav")[0], instrumental)


def test_gains_of_a_mix(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    mixes = ("--mix", "quiet=0.5*vocals+drums", "--mix", "loud = +6dB * vocals + other + -20dB*drums")
    options = ("-q", "fast", "--bit-depth", 32, "-f", "{instrument}.wav", *mixes)
    assert run("separate", "-p", tiny_model, "-o", out, *options, song).returncode == 0
    sound = {path.stem: soundfile.read(path)[0] for path in out.iterdir()}
    np.testing.assert_allclose(sound["quiet"], 0.5 * sound["vocals"] + sound["drums"], atol=1e-6)
    expected = 10**0.3 * sound["vocals"] + sound["other"] + 0.1 * sound["drums"]
    np.testing.assert_allclose(sound["loud"], expected, atol=1e-6)


def test_vocals_for_transcription_in_one_command(run: Run, tiny_model: Path, song: Path, out: Path) -> None:
    options = ("--stems", "vocals", "--mono", "--sample-rate", 16000, "--threads", 1)
    assert run("separate", "-p", tiny_model, "-o", out, *options, song).returncode == 0
    found = soundfile.info(out / "song" / "vocals.wav")
    assert (found.samplerate, found.channels) == (16000, 1)
    assert found.duration == pytest.approx(soundfile.info(song).duration, abs=1e-3)


@pytest.mark.parametrize("text", ["1.5", "0:01.5", "0:00:01.5"])
def test_times_may_be_read_off_a_clock(run: Run, tiny_model: Path, song: Path, out: Path, text: str) -> None:
    assert run("separate", "-p", tiny_model, "-o", out, "-s", text, "-d", text, song).returncode == 0
    expected = soundfile.info(song).frames - 66150
    assert soundfile.info(out / "song" / "vocals.wav").frames == min(66150, expected)


def test_the_default_folder_lies_in_the_current_one(
    run: Run, tiny_model: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("separate", "-p", tiny_model, song).returncode == 0
    assert names(tmp_path / "separated_audio") == {f"song/{stem}" for stem in STEMS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.mp3"], ["TEXT"], ["SONG", "-o", "TEXT/out"], ["SONG", "-c", "aac"], ["SONG", "--stream", "3"],
        ["SONG", "-f", "{x}"], ["SONG", "--stems", "guitar"],
    ],
)  # fmt: skip
def test_what_is_plainly_wrong_is_refused_before_torch_is_imported(
    tiny_model: Path, song: Path, tmp_path: Path, arguments: list[str]
) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no audio")
    filled = [argument.replace("SONG", str(song)).replace("TEXT", str(text)) for argument in arguments]
    code = """
import sys
sys.modules["torch"] = None  # importing it fails
from spleeter.__main__ import entrypoint
from spleeter.audio.codec import Codec
entrypoint()
"""
    process = [sys.executable, "-c", code, "separate", "-p", str(tiny_model), "-o", str(tmp_path / "out"), *filled]
    result = subprocess.run(process, capture_output=True, text=True)
    assert result.returncode in (1, 2), result.stderr
    assert "torch" not in result.stderr
    assert "rror: " in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_the_original_s_functions_take_the_original_s_arguments(
    tiny_model: Path, song: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from spleeter.__main__ import separate

    arguments: dict[str, Any] = {
        "deprecated_files": None,
        "files": [str(song)],
        "adapter": ADAPTER,
        "bitrate": "128k",
        "codec": Codec.WAV,
        "duration": 600.0,
        "offset": 0,
        "output_path": str(out),
        "filename_format": "{foldername}/{instrument}.{codec}",
        "params_filename": str(tiny_model),
        "mwf": False,
        "verbose": False,
    }
    separate(**arguments)
    separate(**{**arguments, "stft_backend": "auto", "files": str(song)})
    assert names(out) == {f"{song.parent.name}/{stem}" for stem in STEMS}
