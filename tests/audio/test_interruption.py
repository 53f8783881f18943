"""Ctrl-C and other exits, wherever they strike in reading and writing: raised, and never taken for an end of file."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spleeter.audio.codec import Codec
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.audio.reader import cancel_readers
from spleeter.utils.worker_thread import WorkerThread
from tests.audio.signals import synthetic

RATE = 22_050


class Interrupting(io.BytesIO):
    """Raises in its n-th call, whichever method it is."""

    def __init__(self, data: bytes, n_calls: int, error: type[BaseException]) -> None:
        super().__init__(data)
        self._n_left, self._error = n_calls, error
        self.raised = False

    def _count(self) -> None:
        self._n_left -= 1
        if self._n_left == 0:
            self.raised = True
            raise self._error

    def read(self, size: int | None = -1) -> bytes:
        self._count()
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._count()
        return super().seek(offset, whence)

    def write(self, data: object) -> int:
        self._count()
        return super().write(data)  # type: ignore[arg-type]


def calls_until_done(act: Callable[[Interrupting], object], data: bytes, error: type[BaseException]) -> int:
    """Have every call of an act raise, one after the other; returns how many calls there are."""
    for n_calls in range(1, 1000):
        file = Interrupting(data, n_calls, error)
        try:
            act(file)
        except error:
            assert file.raised
        else:
            assert not file.raised
            return n_calls - 1
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("codec", "error"), [*((codec, KeyboardInterrupt) for codec in Codec), (Codec.WAV, SystemExit)]
)
def test_an_exit_in_any_call_of_a_file_object_is_raised(
    codec: Codec, error: type[BaseException], adapter: PyAVAudioAdapter
) -> None:
    file = io.BytesIO()
    adapter.save(file, synthetic(4 * RATE, RATE), RATE, codec)
    assert calls_until_done(lambda source: adapter.load(source), file.getvalue(), error) >= 2
    assert calls_until_done(lambda source: adapter.load(source, offset=3.5), file.getvalue(), error) >= 2
    assert calls_until_done(lambda target: adapter.save(target, synthetic(5000), RATE, codec), b"", error) >= 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_ctrl_c_is_heard_while_a_pipe_stalls(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    file = io.BytesIO()
    adapter.save(file, synthetic(4 * RATE, RATE), RATE, Codec.WAV)
    os.mkfifo(tmp_path / "pipe.wav")
    begun = threading.Event()

    def feed() -> None:
        with (tmp_path / "pipe.wav").open("wb") as pipe:
            pipe.write(file.getvalue()[:60_000])
            pipe.flush()
            time.sleep(0.3)
            signal.raise_signal(signal.SIGINT)  # Python handles it in the main thread
            begun.wait(10)

    writer = threading.Thread(target=feed)
    writer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            adapter.load(tmp_path / "pipe.wav")
    finally:
        begun.set()
        writer.join()


def test_readers_can_be_cancelled_from_another_thread(adapter: PyAVAudioAdapter) -> None:
    reading, go_on = threading.Event(), threading.Event()

    class Stalled:
        def read(self, size: int) -> bytes:
            reading.set()
            go_on.wait(10)
            return b""

    def cancel() -> None:
        reading.wait(10)
        cancel_readers()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        adapter.load(Stalled())
    go_on.set()
    thread.join()


def test_a_worker_thread_returns_raises_and_ends() -> None:
    worker = WorkerThread()
    assert worker.call(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 // 0)
    ended: list[int] = []
    worker.close(lambda: ended.append(1))
    worker.close(lambda: ended.append(2))
    assert ended == [1]
    with pytest.raises(KeyboardInterrupt):
        worker.call(lambda: 5)
