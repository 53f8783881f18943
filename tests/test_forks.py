"""A `Separator` in processes that were forked or spawned after it was loaded, and when the main thread has ended."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import soundfile

from spleeter import Configuration, Output, Quality, Separator
from spleeter.separator import Stems
from spleeter.types import Waveform
from tests.conftest import synthetic_music
from tests.utils.test_forks import holds_in_a_child, needs_fork

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # with threads, from Python 3.12 on


@pytest.fixture(scope="module")
def used(tiny_model: Path) -> Separator:
    """A separator that has computed, so that all its threads are there."""
    separator = Separator(tiny_model)
    separator.separate(synthetic_music(44100))
    return separator


def equal(stems: Stems, others: Stems) -> bool:
    return stems.keys() == others.keys() and all(np.array_equal(stems[name], others[name]) for name in stems)


# --- fork -------------------------------------------------------------------------------------------------------


@needs_fork
def test_a_child_separates_as_the_parent_to_the_last_bit(used: Separator, music: Waveform) -> None:
    expected = used.separate(music)
    assert holds_in_a_child(lambda: equal(used.separate(music), expected))
    assert holds_in_a_child(lambda: equal(used.separate(music), expected))
    assert equal(used.separate(music), expected)


@needs_fork
def test_a_childs_child_separates(used: Separator, music: Waveform) -> None:
    expected = used.separate(music)
    assert holds_in_a_child(
        lambda: (
            equal(used.separate(music), expected) and holds_in_a_child(lambda: equal(used.separate(music), expected))
        )
    )


@needs_fork
def test_a_child_saves(used: Separator, tmp_path: Path, music: Waveform) -> None:
    stems = used.separate(music)
    for parents in range(2):  # its own thread has been there in the parent too
        used.save_to_file(stems, "parent.wav", tmp_path / str(parents), synchronous=False)

    def saves() -> bool:
        used.save_to_file(stems, "child.wav", tmp_path, synchronous=False)
        used.join()
        return all((tmp_path / "child" / f"{name}.wav").exists() for name in stems)

    assert holds_in_a_child(saves)
    used.join()


@needs_fork
def test_a_child_separates_files(used: Separator, tmp_path: Path, song: Path) -> None:
    used.separate_to_file(song, tmp_path / "parent")
    assert holds_in_a_child(lambda: bool(used.separate_to_file(song, tmp_path / "child")))
    for path in (tmp_path / "parent" / "song").iterdir():
        assert path.read_bytes() == (tmp_path / "child" / "song" / path.name).read_bytes()


@needs_fork
def test_a_child_separates_while_the_parent_does(used: Separator, music: Waveform) -> None:
    expected, is_over = used.separate(music), threading.Event()

    def keep_separating() -> None:
        while not is_over.is_set():
            assert equal(used.separate(music), expected)

    threads = [threading.Thread(target=keep_separating) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            assert holds_in_a_child(lambda: equal(used.separate(music), expected))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@needs_fork
def test_a_child_loads_what_the_parent_is_loading(tiny_model: Path, music: Waveform) -> None:
    separator = Separator(tiny_model)
    loading = threading.Thread(target=separator.load)
    loading.start()
    assert holds_in_a_child(lambda: len(separator.separate(music)) == 3)
    loading.join()


@needs_fork
def test_what_is_under_way_is_not_continued_in_a_child(used: Separator, music: Waveform) -> None:
    """But refused: the thread that runs ahead is the parent's."""
    refusals: list[bool] = []

    def fork(done: int, total: int | None) -> None:
        child = os.fork() if not refusals else None
        if child == 0:
            raise InterruptedError
        if child:
            refusals.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0)

    process = os.getpid()
    try:
        used.separate(music, progress=fork)
    except InterruptedError:
        os._exit(0)
    finally:
        if os.getpid() != process:
            os._exit(1)
    assert refusals == [True]


@needs_fork
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no such pools here")
def test_a_forked_pool_separates(used: Separator, music: Waveform) -> None:
    expected = used.separate(music)
    with multiprocessing.get_context("fork").Pool(2) as pool:  # which pickles the separator too
        for stems in pool.map_async(used.separate, [music] * 3).get(60):
            assert equal(stems, expected)


APPLICATION = """
import numpy as np
from spleeter import Separator
separator = Separator({model!r})
song = np.random.default_rng(0).normal(0, 0.1, (30000, 2)).astype(np.float32)
expected = separator.separate(song)
def app(environ, start_response):
    stems = separator.separate(song)
    equal = all(np.array_equal(stems[name], expected[name]) for name in expected)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{{equal}}".encode()]
"""


@needs_fork
def test_gunicorn_serves_a_separator_that_was_loaded_before_it_forked(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION.format(model=str(tiny_model)))
    address = tmp_path / "socket"
    command = [
        sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"unix:{address}", "--chdir", str(tmp_path),
        "application:app",
    ]  # fmt: skip
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not address.exists():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(4):
            connection = http.client.HTTPConnection("localhost", timeout=60)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(60)
            connection.sock.connect(str(address))
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"True"
            connection.close()
    finally:
        server.terminate()
        server.wait(20)


# --- pickles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_separator_pickles(tiny_model: Path, music: Waveform, is_loaded: bool) -> None:
    separator = Separator(tiny_model, quality=Quality(shifts=2), multiprocess=False, device="cpu", threads=1)
    if is_loaded:
        separator.load()
    other = pickle.loads(pickle.dumps(separator))
    assert repr(other) == repr(separator)
    assert (other.threads, other.precision, other.configuration) == (1, "float32", separator.configuration)
    assert equal(other.separate(music), separator.separate(music))


def test_options_pickle(tiny_model: Path) -> None:
    for value in (Quality(overlap=0.25), Output(mixes={"both": ("drums", "other")}), Configuration.load(tiny_model)):
        assert pickle.loads(pickle.dumps(value)) == value


def test_a_spawned_pool_separates(used: Separator, music: Waveform) -> None:
    expected = used.separate(music)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for name, stem in pool.submit(used.separate, music).result(60).items():
            np.testing.assert_allclose(stem, expected[name], rtol=0, atol=1e-6)


# --- the end of the main thread ---------------------------------------------------------------------------------

PROGRAM = """
import sys, threading
import numpy as np
from spleeter import Separator
separator = Separator({model!r})
song = np.random.default_rng(0).normal(0, 0.1, (44100 * {seconds}, 2)).astype(np.float32)
stems = separator.separate(song[:30000])
begun = threading.Event()
def work():
    for number in range(2):
        separator.separate(song, progress=lambda done, total: begun.set())
        separator.separate_to_file({song!r}, {folder!r} + f"/{{number}}")
    print("finished")
"""


def ended(program: str, model: Path, song: Path, folder: Path, seconds: int = 3) -> subprocess.CompletedProcess[str]:
    preparation = PROGRAM.format(model=str(model), song=str(song), folder=str(folder), seconds=seconds)
    command = [sys.executable, "-c", preparation + dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_thread_that_separates_finishes_after_main(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    done = ended("threading.Thread(target=work).start()", tiny_model, song, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "finished\n", "")
    assert len(list(tmp_path.glob("?/song/*.wav"))) == 6


def test_a_daemon_thread_that_separates_ends_with_the_program(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    program = "threading.Thread(target=work, daemon=True).start(); begun.wait()"
    done = ended(program, tiny_model, song, tmp_path, seconds=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert "daemon thread still separates" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_that_has_separated_ends(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    """At once, whatever its threads still clean up: with the separator kept, and dropped in the last line."""
    for program in ("", "del separator", "separator.separate(song); del separator, stems"):
        done = ended(program, tiny_model, song, tmp_path, seconds=1)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_is_saved_is_there_without_join(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    program = f"separator.save_to_file(stems, 'song.wav', {str(tmp_path)!r}, synchronous=False)"
    done = ended(program, tiny_model, song, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.stem: soundfile.info(path).frames for path in (tmp_path / "song").iterdir()} == {
        "vocals": 30000, "drums": 30000, "other": 30000,
    }  # fmt: skip


def test_what_cannot_be_saved_is_told_without_join(tiny_model: Path, song: Path, tmp_path: Path) -> None:
    (tmp_path / "song").write_bytes(b"in the way")
    program = f"separator.save_to_file(stems, 'song.wav', {str(tmp_path)!r}, synchronous=False)"
    done = ended(program, tiny_model, song, tmp_path)
    assert done.stderr.startswith("cannot make the output folder")
    assert done.stderr.count("\n") == 1
