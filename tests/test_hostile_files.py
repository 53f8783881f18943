"""Whatever the input: the command ends, with one line per failure, and leaves whole stems or nothing."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from spleeter.__main__ import entrypoint
from spleeter.audio.codec import Codec
from tests.hostile_files import (
    INPUTS,
    NAMES,
    PART,
    RATE,
    TEXT,
    Case,
    by_sndfile,
    exactly,
    playlists,
    whole,
    with_sample,
)

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="POSIX files and signals"),
    pytest.mark.filterwarnings("error::RuntimeWarning"),  # would be printed between the messages
]

STEMS = ("drums", "other", "vocals")
GROUPS = sorted({one.group for one in INPUTS})
GOOD = by_sndfile("WAV", "PCM_16", 2_000)
"""A short song that nothing is wrong with."""

PROGRESS = re.compile(r": finished in [\d.]+ s( \(\d+ of \d+\))?$|^\d+ files? without audio left out: ")
N_GOOD = 2_000
NOBODY = 65_534


@dataclass(frozen=True)
class Result:
    """How a command ended, and all that it printed to stderr, or lost."""

    returncode: int
    output: str
    native_output: str
    """Written to the descriptor of stderr by C libraries, past Python."""
    unraised: tuple[str, ...]
    """Errors in threads, and in places that cannot raise."""

    @property
    def lines(self) -> list[str]:
        """The messages, without those about the progress of a batch."""
        lines = self.output.removesuffix("\n").split("\n") if self.output else []
        return [line for line in lines if not PROGRESS.search(line)]

    def errors(self, label: str) -> list[str]:
        return [line for line in self.lines if line.startswith("error: ") and label in line]


@dataclass(frozen=True)
class Batch:
    """Files separated by one command, in one folder."""

    files: dict[str, Path]
    out: Path
    result: Result

    def stems(self, name: str) -> Path:
        return self.out / os.path.splitext(name)[0]  # noqa: PTH122


@contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Catch what is written to descriptor 2."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def spleeter(*arguments: object) -> Result:
    """Run `spleeter separate` in this process, with stderr as strict as the real one."""
    output = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    unraised: list[str] = []
    with pytest.MonkeyPatch.context() as patch, captured_stderr() as native_output:
        patch.setattr(sys, "argv", ["spleeter", "separate", *map(str, arguments)])
        patch.setattr(sys, "unraisablehook", lambda error: unraised.append(repr(error.exc_value)))
        patch.setattr(threading, "excepthook", lambda error: unraised.append(repr(error.exc_value)))
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(output), pytest.raises(SystemExit) as ended:
                entrypoint()
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)
        code, printed = int(ended.value.code or 0), output.buffer
        assert isinstance(printed, io.BytesIO)
        return Result(code, printed.getvalue().decode(), native_output(), tuple(unraised))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sounds as short as these are separated faster by one thread than by several that wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def good_stems(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The stems of the good song, separated alone."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "good.wav").write_bytes(GOOD)
    assert spleeter("-p", tiny_model, "-o", folder / "out", folder / "good.wav").returncode == 0
    return contents(folder / "out" / "good")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return written(tmp_path / "good.wav", GOOD)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- the laws ---------------------------------------------------------------------------------------------------


def check_messages(result: Result) -> None:
    """One printable line a message, none of them about a failure of the program itself."""
    assert result.native_output == ""
    assert result.unraised == ()
    in_summary = False
    for line in result.lines:
        assert line.startswith("  " if in_summary else ("error: ", "warning: ")), result.output
        in_summary = in_summary or line.endswith(" failed:")
        assert line.isprintable(), line
        assert "Traceback" not in line
        assert "unexpected" not in line, line


def check_whole(folder: Path, lengths: range, codec: Codec = Codec.WAV) -> None:
    """All of a song's stems are there, nothing else, and all as long as they should be."""
    assert {path.name for path in folder.iterdir()} == {f"{stem}.{codec}" for stem in STEMS}
    found = {n_samples(folder / f"{stem}.{codec}") for stem in STEMS}
    assert len(found) == 1, "stems of one song are of one length"
    (found_length,) = found
    assert found_length in lengths


def n_samples(path: Path) -> int:
    """Decode a stem to its end, and count."""
    if path.suffix not in (".wma", ".m4a"):
        with path.open("rb") as file:  # libsndfile takes no names that are not text
            return len(soundfile.read(file)[0])
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


def check_nothing_partial(out: Path, known: Iterable[str]) -> None:
    """Below the output folder there are songs' folders with files, and nothing in the making."""
    if out.exists():
        assert {path.name for path in out.iterdir()} <= set(known)
        assert not [path for path in out.rglob("*") if path.name.startswith(".") and path.parent != out]
        assert not list(out.rglob("*.part"))
        assert all(any(folder.iterdir()) for folder in out.iterdir())


def check_verdict(batch: Batch, one: Case, codec: Codec = Codec.WAV) -> None:
    """This file was separated or refused, as it should be, and if refused, with one line that says why."""
    folder, errors = batch.stems(one.name), batch.result.errors(f"{batch.files[one.name]}: ")
    if folder.exists():
        assert not errors
        assert one.lengths, "it should have been refused"
        check_whole(folder, one.lengths, codec)
    else:
        assert errors, "it failed without a word"
        assert one.may_fail or not one.lengths, errors[0]
        assert errors[0].rpartition(f"{one.name}: ")[2], "the reason is missing"


def check_exit_code(batch: Batch) -> None:
    done = [batch.stems(path.name).exists() for path in batch.files.values()]
    assert batch.result.returncode == (0 if all(done) else 1)


# --- files that are bad or odd inside ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batch_of(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Batch]:
    """Separates a group of files with one command, good songs at its beginning, middle and end; each group once."""

    @cache
    def separated(group: str) -> Batch:
        folder = tmp_path_factory.mktemp(group)
        inputs = [one for one in INPUTS if one.group == group]
        paths = {one.name: written(folder / one.name, one.make()) for one in inputs}
        songs = list(paths.values())
        for place in (0, len(songs) // 2, len(songs) + 2):
            songs.insert(place, written(folder / f"good{place}.wav", GOOD))
        start, duration = PART
        options = ("-s", start, "-d", duration) if group == "part" else ()
        result = spleeter("-p", tiny_model, "-o", folder / "out", *options, *songs)
        return Batch(paths, folder / "out", result)

    return separated


def test_the_files_are_the_same_in_every_run() -> None:
    assert len({one.id for one in INPUTS}) == len(INPUTS)
    for one in INPUTS[::5]:
        assert one.make() == one.make()


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.id)
def test_each_file_is_separated_whole_or_refused_with_a_reason(one: Case, batch_of: Callable[[str], Batch]) -> None:
    check_verdict(batch_of(one.group), one)


@pytest.mark.parametrize("group", GROUPS)
def test_a_batch_prints_a_line_per_failure_and_leaves_nothing_partial(
    group: str, batch_of: Callable[[str], Batch]
) -> None:
    batch = batch_of(group)
    check_messages(batch.result)
    check_nothing_partial(batch.out, [path.stem for path in batch.out.parent.glob("*.*")])
    n_failed = sum(not batch.stems(path.name).exists() for path in batch.files.values())
    if group == "part":  # the good songs are too short for it
        n_failed += 3
    assert batch.result.returncode == (1 if n_failed else 0)
    if n_failed:
        assert batch.result.errors(f"{n_failed} of {len(batch.files) + 3} failed:")


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "part"])
def test_a_good_song_among_bad_ones_is_separated_as_if_alone(
    group: str, batch_of: Callable[[str], Batch], good_stems: dict[str, bytes]
) -> None:
    batch = batch_of(group)
    songs = [path.stem for path in batch.out.parent.glob("good*.wav")]
    assert len(songs) == 3
    for song in songs:
        assert contents(batch.out / song) == good_stems


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_bad_files_leave_no_thread_and_no_file_open(tiny_model: Path, tmp_path: Path) -> None:
    inputs = [one for one in INPUTS if one.group in ("numbers", "flac", "mp4", "mp3", "lying")]
    songs = [written(tmp_path / one.name, one.make()) for one in inputs]
    spleeter("-p", tiny_model, "-o", tmp_path / "first", songs[0])
    n_threads, n_open = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    spleeter("-p", tiny_model, "-o", tmp_path / "out", *songs)
    gc.collect()  # the thread that computes ends with its separator
    for thread in threading.enumerate():
        if thread.name.startswith("spleeter"):
            thread.join(5)
    assert threading.active_count() <= n_threads  # others may end meanwhile
    assert len(list(Path("/proc/self/fd").iterdir())) <= n_open


TAGS = [one for one in INPUTS if one.group == "tags"]
CHOICE = [
    one
    for one in INPUTS
    if one.name
    in (
        "rate-8000.wav", "rate-12345.wav", "rate-192000.wav", "channels-1-WAV.wav", "channels-8-WAV.wav",
        "short-1-WAV-PCM_16.wav", "short-100-WAV-PCM_16.wav", "very-loud.wav", "silence.wav", "denormal.wav",
        "nan-late.wav", "cut-wav16-0.5.wav", "hole-mp3.mp3",
    )
]  # fmt: skip
"""A few of all kinds, for what is done to files one way and another."""


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.WAV])
def test_odd_files_as_every_codec(codec: Codec, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    batch = separated([*CHOICE, *TAGS], tmp_path, out, "-p", tiny_model, "-c", codec)
    for one in (*CHOICE, *TAGS):
        stops = {Codec.OPUS: 1, Codec.WMA: 2 * 2_048, Codec.M4A: 2 * 1_024}.get(codec, 0)
        rate = 48_000 if codec is Codec.OPUS else RATE
        first, last = (round(length * rate / RATE) for length in (one.lengths.start, one.lengths.stop - 1))
        lengths = range(first - (codec is Codec.OPUS), last + stops + 1) if one.lengths else one.lengths
        check_verdict(batch, replace(one, lengths=lengths), codec)
    check_messages(batch.result)
    check_exit_code(batch)


def separated(inputs: Sequence[Case], folder: Path, out: Path, *options: object) -> Batch:
    """Separate some of the files with other options."""
    paths = {one.name: written(folder / one.name, one.make()) for one in inputs}
    return Batch(paths, out, spleeter("-o", out, *options, *paths.values()))


@pytest.mark.parametrize(
    "options",
    [
        ("--mwf",),
        ("--clip", "rescale"),
        ("--clip", "none", "--bit-depth", 32),
        ("-c", "flac", "--bit-depth", 24),
        ("--stems", "vocals,drums,other", "--skip-existing"),
    ],
    ids=str,
)
def test_odd_files_with_other_options(options: Sequence[object], tiny_model: Path, tmp_path: Path, out: Path) -> None:
    batch = separated(CHOICE, tmp_path, out, "-p", tiny_model, *options)
    for one in CHOICE:
        check_verdict(batch, one, Codec.FLAC if "flac" in options else Codec.WAV)
    check_messages(batch.result)
    check_exit_code(batch)


def test_odd_files_at_their_own_sample_rate(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    """With --keep-sample-rate the stems are exactly as long as the song, whatever its rate."""
    kept = ("rate-", "channels-", "short-1-WAV", "short-7-FLAC", "short-resampled", "very-loud")
    inputs = [one for one in INPUTS if one.group == "odd" and one.name.startswith(kept)]
    batch = separated(inputs, tmp_path, out, "-p", tiny_model, "--keep-sample-rate")
    assert batch.result.returncode == 0, batch.result.output
    check_messages(batch.result)
    for path in batch.files.values():
        song = soundfile.info(path)
        check_whole(batch.stems(path.name), range(song.frames, song.frames + 1))
        assert soundfile.info(batch.stems(path.name) / "vocals.wav").samplerate == song.samplerate


# --- names ------------------------------------------------------------------------------------------------------


def with_odd_names(folder: Path, data: bytes) -> dict[str, Path]:
    """The same file under every odd name that this file system allows."""
    folder.mkdir()
    files: dict[str, Path] = {}
    for label, name in NAMES.items():
        path = folder / os.fsdecode(name)
        with suppress(OSError):  # some systems want names to be text
            files[label] = written(path, data)
    assert len(files) > len(NAMES) // 2
    return files


def test_every_name_is_separated(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    files = with_odd_names(tmp_path / "odd", GOOD)
    batch = Batch(files, out, spleeter("-p", tiny_model, "-o", out, *files.values()))
    assert (batch.result.returncode, batch.result.lines) == (0, [])
    for path in files.values():
        check_whole(batch.stems(path.name), exactly(N_GOOD))
    check_nothing_partial(out, [os.path.splitext(path.name)[0] for path in files.values()])  # noqa: PTH122


def test_every_name_is_separated_from_within_its_folder(
    tiny_model: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = with_odd_names(tmp_path / "odd", GOOD)
    monkeypatch.chdir(tmp_path / "odd")
    names = [path.name for path in files.values()]
    result = spleeter("-p", tiny_model, "-o", out, "--", *names)
    assert (result.returncode, result.lines) == (0, [])
    assert len(list(out.iterdir())) == len(files)


@pytest.mark.parametrize("data", [TEXT, with_sample(np.nan, 5)], ids=["unreadable", "NaN"])
def test_a_failure_is_one_line_under_every_name(data: bytes, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    files = with_odd_names(tmp_path / "odd", data)
    result = spleeter("-p", tiny_model, "-o", out, *files.values())
    assert result.returncode == 1
    assert not out.exists()
    check_messages(result)
    for label in files:
        assert result.errors(label), label


def test_a_missing_file_is_one_line_under_every_name(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    names = {label: os.fsdecode(name) for label, name in NAMES.items()}
    result = spleeter("-p", tiny_model, "-o", out, *[tmp_path / name for name in names.values()])
    assert result.returncode == 2
    assert not out.exists()
    check_messages(result)
    for label in names:
        assert result.errors(label), label


def test_names_too_long_for_the_outputs_fail_alone(tiny_model: Path, tmp_path: Path, out: Path, good: Path) -> None:
    long = written(tmp_path / ("x" * 251 + ".wav"), GOOD)
    for form in ("{filename}_{instrument}.{codec}", "{filename}_stems/{instrument}.{codec}"):
        for options in ((), ("--skip-existing",)):
            shutil.rmtree(out, ignore_errors=True)
            result = spleeter("-p", tiny_model, "-o", out, "-f", form, *options, long, good)
            assert result.returncode == 1, form
            check_messages(result)
            assert result.errors("x" * 251)
            assert len(contents(out)) == len(STEMS)


def test_no_name_controls_the_terminal(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    """Where there is a progress bar, names are shown in it, and their control characters are escaped."""
    odd = [written(tmp_path / f"{index}\x1b[2Jcleared\x1b]0;renamed\x07[red].wav", GOOD) for index in range(2)]
    bad = written(tmp_path / "bad \x1b[2J.wav", TEXT)
    command = [sys.executable, "-m", "spleeter", "separate", "-p", tiny_model, "-o", out, *odd, bad]
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "300"}
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while data := os.read(ours, 4_096):
            shown += data
    os.close(ours)
    assert process.wait() == 1
    assert b"cleared" in shown, "there was a bar"
    assert b"\x1b[2J" not in shown
    assert b"\x1b]0;" not in shown
    assert len(contents(out)) == 2 * len(STEMS)


# --- pipes, devices, sockets, links ------------------------------------------------------------------------------


class Processes:
    """Commands in processes of their own, at the same time: what hangs can be ended, and is found out."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._started: dict[str, subprocess.Popen[str]] = {}
        self._deadline = time.monotonic() + 60

    def start(self, name: str, *songs: Path) -> None:
        options = ["-p", self._model, "-o", self.out(name)]
        command = [sys.executable, "-m", "spleeter", "separate", *map(str, [*options, *songs])]
        self._started[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def out(self, name: str) -> Path:
        return self._folder / f"out-{name}"

    def result(self, name: str) -> Result:
        process = self._started[name]
        try:
            _, output = process.communicate(timeout=max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            pytest.fail("it hangs")
        return Result(process.returncode, output, "", ())

    def end(self) -> None:
        for process in self._started.values():
            process.kill()
            process.communicate()


ENDLESS = {
    "pipe": ["pipe.mp3"],
    "pipe in a folder": ["album"],
    "zeros": ["zero.mp3"],
    "noise": ["random.mp3"],
    "devices": ["null.wav", "zero.wav", "full.aac", "tty.ogg", "good.wav"],
}
"""What is given to each command."""

DEVICES = {"zero.mp3": "zero", "zero.wav": "zero", "full.aac": "full", "random.mp3": "urandom", "null.wav": "null"}


@pytest.fixture(scope="module")
def processes(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    folder = tmp_path_factory.mktemp("no-files")
    for name, device in (DEVICES | {"tty.ogg": "tty"}).items():
        (folder / name).symlink_to(f"/dev/{device}")
        if not (folder / name).exists():
            pytest.skip(f"there is no /dev/{device} here")
    for place in (folder, folder / "album"):
        written(place / "good.wav", GOOD)
        os.mkfifo(place / "pipe.mp3")
    running = Processes(tiny_model, folder)
    for name, songs in ENDLESS.items():
        running.start(name, *[folder / song for song in songs])
    yield running
    running.end()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_does_not_hang(name: str, processes: Processes, good_stems: dict[str, bytes]) -> None:
    """Pipes that nobody writes to, and devices, whatever they are called."""
    result = processes.result(name)
    is_left_out = name == "pipe in a folder"
    assert result.returncode == (0 if is_left_out else 1), result.output
    check_messages(result)
    is_good_there = name in ("pipe in a folder", "devices")
    assert contents(processes.out(name)) == {f"good/{stem}": good_stems[stem] for stem in good_stems if is_good_there}
    if is_left_out:
        assert "1 file without audio left out: 1 .mp3" in result.output
    for song in (song for song in ENDLESS[name] if not is_left_out and song != "good.wav"):
        assert result.errors(song)


@pytest.mark.parametrize("data", [GOOD, GOOD[:1_000], b"", TEXT, whole("flac"), whole("m4a"), whole("mkv")])
def test_a_pipe_that_is_written_to(data: bytes, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    """It cannot be sought in: it is separated whole, or refused."""
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    def feed() -> None:
        with suppress(BrokenPipeError):
            pipe.write_bytes(data)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    result = spleeter("-p", tiny_model, "-o", out, pipe)
    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))  # in case that it has never been opened
    feeder.join()
    check_messages(result)
    check_songs_whole_or_missing(result, {"pipe": pipe}, out)


def test_links_sockets_and_folders(tiny_model: Path, tmp_path: Path, out: Path, good: Path) -> None:
    """What holds no audio fails, alone and by its name; links to songs are songs, a song named twice is one."""
    (tmp_path / "broken.wav").symlink_to("nowhere")
    (tmp_path / "circle.wav").symlink_to("circle.wav")
    (tmp_path / "folder.mp3").mkdir()
    written(tmp_path / "letters" / "letter.txt", TEXT)
    (tmp_path / "link.wav").symlink_to(good)
    written(tmp_path / "below.wav" / "song.wav", GOOD)
    bad = ["broken.wav", "circle.wav", "folder.mp3", "letters", "good.wav/below", "socket.mp3"]
    with socket.socket(socket.AF_UNIX) as open_socket, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # the address of a socket must be short
        open_socket.bind("socket.mp3")
        songs = [tmp_path / name for name in (*bad, "below.wav", "link.wav", "link.wav")]
        result = spleeter("-p", tiny_model, "-o", out, *songs, good)
    assert result.returncode == 1
    check_messages(result)
    for name in bad:
        assert result.errors(name), name
    assert set(contents(out)) == {f"{song}/{stem}.wav" for song in ("link", "song") for stem in STEMS}


def test_links_in_a_folder(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    album = tmp_path / "album"
    written(album / "good.wav", GOOD)
    (album / "broken.wav").symlink_to("nowhere")
    (album / "circle.wav").symlink_to("circle.wav")
    (album / "up").symlink_to(album)
    (album / "folder.mp3").mkdir()
    result = spleeter("-p", tiny_model, "-o", out, album)
    assert result.returncode == 1
    check_messages(result)
    assert result.errors("broken.wav")
    assert result.errors("circle.wav")
    assert set(contents(out)) == {f"good/{stem}.wav" for stem in STEMS}


@pytest.mark.parametrize("names", [["missing.wav"], ["empty"], ["missing.wav", "empty", "broken.wav", "missing"]])
def test_without_any_input_it_is_wrong_usage(names: list[str], tiny_model: Path, tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.wav").symlink_to("nowhere")
    result = spleeter("-p", tiny_model, "-o", out, *[tmp_path / name for name in names])
    assert result.returncode == 2
    check_messages(result)
    assert all(result.errors(name) for name in names)
    assert not out.exists()


# --- files that name others -------------------------------------------------------------------------------------


class Watch:
    """Observes whether a file has been opened by anyone (inotify of Linux)."""

    _OPENED = 0x20

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            pytest.skip("needs inotify")
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._descriptor, os.fsencode(path), self._OPENED) >= 0

    def seen(self) -> bool:
        try:
            return bool(os.read(self._descriptor, 4_096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A web server that has a song under every path: its address, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(GOOD)))
            self.end_headers()
            self.wfile.write(GOOD)

        def handle_one_request(self) -> None:
            asked.append("connected")
            super().handle_one_request()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    worker = threading.Thread(target=server.serve_forever, daemon=True)
    worker.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    worker.join()


def test_no_file_makes_the_command_open_another(
    tiny_model: Path, tmp_path: Path, out: Path, web: tuple[str, list[str]]
) -> None:
    """Playlists, scripts and references are refused; what they name is never opened, nor fetched."""
    address, asked = web
    target = written(tmp_path / "target.wav", GOOD)
    made = playlists(address, str(target))
    files = [written(tmp_path / f"{index}-{name}", data) for index, (name, data) in enumerate(made.items())]
    watch = Watch(target)
    result = spleeter("-p", tiny_model, "-o", out, *files)
    assert not watch.seen()
    assert asked == []
    assert result.returncode == 1
    assert not out.exists()
    check_messages(result)
    for file in files:
        assert result.errors(str(file)), file.name
    assert spleeter("-p", tiny_model, "-o", out, target).returncode == 0
    assert watch.seen(), "it would have been seen"
    watch.close()


# --- outputs that cannot be written -----------------------------------------------------------------------------


def everything(folder: Path) -> dict[str, object]:
    """All that is below a folder, links and special files too, and what is in the files."""
    return {
        str(path.relative_to(folder)): os.readlink(path)  # noqa: PTH115
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else path.stat().st_mode
        for path in [folder, *folder.rglob("*")]
    }


def _file(out: Path) -> None:
    written(out, b"mine")


def _below_a_file(out: Path) -> None:
    written(out.parent, b"mine")


def _dangling_link(out: Path) -> None:
    out.symlink_to("nowhere/at/all")


def _circle(out: Path) -> None:
    out.symlink_to(out.name)


def _song_is_a_file(out: Path) -> None:
    written(out / "bad", b"mine")


def _first_is_a_folder(out: Path) -> None:
    (out / "bad" / "vocals.wav").mkdir(parents=True)


def _last_is_a_full_folder(out: Path) -> None:
    written(out / "bad" / "other.wav" / "mine.txt", b"mine")


def _all_are_folders(out: Path) -> None:
    for stem in STEMS:
        (out / "bad" / f"{stem}.wav").mkdir(parents=True)


def _last_is_a_pipe(out: Path) -> None:
    (out / "bad").mkdir(parents=True)
    os.mkfifo(out / "bad" / "other.wav")


def _last_is_a_device(out: Path) -> None:
    (out / "bad").mkdir(parents=True)
    (out / "bad" / "other.wav").symlink_to("/dev/null")


@pytest.mark.parametrize("prepare", [_file, _below_a_file, _dangling_link, _circle])
@pytest.mark.parametrize("options", [(), ("--clip", "rescale"), ("--skip-existing",)], ids=str)
def test_an_output_folder_that_cannot_be(
    prepare: Callable[[Path], None], options: Sequence[str], tiny_model: Path, tmp_path: Path, good: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    out = place / "middle" / "out" if prepare is _below_a_file else place / "out"
    prepare(out)
    before = everything(place)
    result = spleeter("-p", tiny_model, "-o", out, *options, good)
    assert result.returncode in (1, 2)
    check_messages(result)
    assert result.errors(str(out))
    assert everything(place) == before


TAKEN = (
    _song_is_a_file,
    _first_is_a_folder,
    _last_is_a_full_folder,
    _all_are_folders,
    _last_is_a_pipe,
    _last_is_a_device,
)


@pytest.mark.parametrize("prepare", TAKEN)
@pytest.mark.parametrize("options", [(), ("--clip", "rescale"), ("--skip-existing",)], ids=str)
def test_an_output_whose_place_is_taken_fails_alone(
    prepare: Callable[[Path], None], options: Sequence[str], tiny_model: Path, tmp_path: Path, out: Path, good: Path
) -> None:
    bad = written(tmp_path / "bad.wav", GOOD)
    prepare(out)
    before = everything(out)
    result = spleeter("-p", tiny_model, "-o", out, *options, bad, good)
    assert result.returncode == 1
    check_messages(result)
    assert result.errors("bad")
    check_whole(out / "good", exactly(N_GOOD))
    shutil.rmtree(out / "good")
    assert everything(out) == before


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 2_500])
def test_an_output_folder_with_too_long_a_name(name: str, tiny_model: Path, tmp_path: Path, good: Path) -> None:
    before = set(tmp_path.iterdir())
    result = spleeter("-p", tiny_model, "-o", tmp_path / name, good)
    assert result.returncode == 1
    check_messages(result)
    assert set(tmp_path.iterdir()) == before


def test_stems_that_were_there_survive_a_failure(tiny_model: Path, tmp_path: Path, out: Path) -> None:
    song = written(tmp_path / "song.wav", GOOD)
    assert spleeter("-p", tiny_model, "-o", out, song).returncode == 0
    before = contents(out)
    for one in (one for one in INPUTS if one.name in ("nan-late.wav", "png-wav.wav", "inf-middle.wav")):
        song.write_bytes(one.make())
        assert spleeter("-p", tiny_model, "-o", out, song).returncode == 1
        assert contents(out) == before


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder, and no rights that only root has; root becomes somebody else for a while."""
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            if not hasattr(os, "setresuid"):
                pytest.skip("root may read and write everything, and cannot become somebody else here")
            os.chown(folder, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, 0)
        yield folder
    finally:
        if hasattr(os, "getresuid") and os.getresuid()[2] == 0:
            os.setresuid(0, 0, 0)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


@pytest.mark.usefixtures("good_stems")  # so that everything is imported before the rights are given up
def test_inputs_that_may_not_be_read(tiny_model: Path) -> None:
    data = contents(tiny_model)
    with unprivileged() as folder:
        for name, weights in data.items():
            written(folder / "model" / name, weights)
        good = written(folder / "good.wav", GOOD)
        written(folder / "secret.wav", GOOD).chmod(0)
        written(folder / "album" / "song.wav", GOOD)
        (folder / "album").chmod(0)
        written(folder / "listed" / "song.wav", GOOD)
        (folder / "listed").chmod(0o400)
        songs = [folder / "secret.wav", folder / "album", folder / "album" / "song.wav", folder / "listed", good]
        result = spleeter("-p", folder / "model", "-o", folder / "out", *songs)
        assert result.returncode == 1
        check_messages(result)
        for song in songs[:-1]:
            assert [line for line in result.errors(str(song)) if "Permission denied" in line], song
        assert set(contents(folder / "out")) == {f"good/{stem}.wav" for stem in STEMS}


@pytest.mark.usefixtures("good_stems")
def test_outputs_that_may_not_be_written(tiny_model: Path) -> None:
    data = contents(tiny_model)
    with unprivileged() as folder:
        for name, weights in data.items():
            written(folder / "model" / name, weights)
        songs = [written(folder / f"{name}.wav", GOOD) for name in ("locked", "kept", "free")]
        written(folder / "out" / "locked" / "mine.txt", b"mine")
        (folder / "out" / "locked").chmod(0o500)
        written(folder / "out" / "kept" / "other.wav", b"mine").chmod(0o400)
        result = spleeter("-p", folder / "model", "-o", folder / "out", *songs)
        assert result.returncode == 1
        check_messages(result)
        assert result.errors("locked.wav")
        assert result.errors("kept.wav")
        found = contents(folder / "out")
        mine = {"locked/mine.txt": b"mine", "kept/other.wav": b"mine"}
        assert set(found) == {*mine, *(f"free/{stem}.wav" for stem in STEMS)}
        assert {name: found[name] for name in mine} == mine
        (folder / "out").chmod(0o500)
        shutil.rmtree(folder / "out" / "free", ignore_errors=True)
        before = everything(folder / "out")
        result = spleeter("-p", folder / "model", "-o", folder / "out" / "new", songs[-1])
        assert result.returncode == 2
        check_messages(result)
        assert everything(folder / "out") == before


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """No file may grow larger: writing fails as it does where a disk is full."""
    import resource

    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("n_bytes", [0, 50, 4_096, 60_000])
def test_files_that_cannot_grow(codec: Codec, n_bytes: int, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    """A song's stems all fit, or none is there."""
    songs = {
        "short": written(tmp_path / "short.wav", by_sndfile("WAV", "PCM_16", 4_000)),
        "long": written(tmp_path / "long.wav", by_sndfile("WAV", "PCM_16", RATE)),
    }
    with files_up_to(n_bytes):
        result = spleeter("-p", tiny_model, "-o", out, "-c", codec, *songs.values())
    check_messages(result)
    check_songs_whole_or_missing(result, songs, out, codec)
    assert n_bytes > 50 or not out.exists()


def check_songs_whole_or_missing(result: Result, songs: dict[str, Path], out: Path, codec: Codec = Codec.WAV) -> None:
    done = {name for name in songs if (out / name).exists()}
    for name in done:
        check_whole(out / name, range(1, 1 << 30), codec)
    for name in set(songs) - done:
        assert result.errors(str(songs[name])), name
    assert result.returncode == (0 if done == set(songs) else 1)
    check_nothing_partial(out, songs)


@pytest.mark.parametrize("missing", [1, 100_000, 8 * RATE])
def test_a_temporary_file_that_cannot_grow(missing: int, tiny_model: Path, tmp_path: Path, out: Path) -> None:
    """The last bytes of a file may fail to be written as late as when it is read, or closed."""
    song = written(tmp_path / "song.wav", by_sndfile("WAV", "PCM_16", RATE))
    with files_up_to(8 * RATE - missing):
        result = spleeter("-p", tiny_model, "-o", out, "--clip", "rescale", song)
    assert result.returncode == 1
    check_messages(result)
    assert not out.exists()


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk with so much room, in memory."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot make a small disk here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small disk"
)
@pytest.mark.parametrize("options", ["size=64k", "size=200k", "size=1m,nr_inodes=3", "size=1m,nr_inodes=7"])
@pytest.mark.parametrize("clip", ["clamp", "rescale"])
@pytest.mark.parametrize("codec", [Codec.WAV, Codec.OGG])
def test_a_full_disk(options: str, clip: str, codec: Codec, tiny_model: Path, tmp_path: Path) -> None:
    """The songs that fit are there whole, of the others nothing; the disk is as free again as it can be."""
    songs = {f"song{i}": written(tmp_path / f"song{i}.wav", by_sndfile("WAV", "PCM_16", 8_000 + i)) for i in range(3)}
    with small_disk(tmp_path / "disk", options) as disk:
        result = spleeter("-p", tiny_model, "-o", disk / "out", "--clip", clip, "-c", codec, *songs.values())
        check_messages(result)
        check_songs_whole_or_missing(result, songs, disk / "out", codec)
        room = os.statvfs(disk)
        used = (room.f_blocks - room.f_bfree) * room.f_frsize
        assert used <= sum(-(-len(data) // 4_096) * 4_096 for data in contents(disk).values())
