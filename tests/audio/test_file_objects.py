"""File objects in and out: the same as paths, complete or nothing, never closed, and errors of one clear line."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError, EncodeError
from tests.audio.signals import synthetic
from tests.utils.disks import disk_of

RATE = 22_050
N_SAMPLES = 8 * RATE + 57
MP3_PADDING = 1_152 + 529
"""Samples: without seeking, FFmpeg does not learn the number of padding samples at an MP3's end."""


class OnlyRead:
    """A source like a socket's: no seeking, and fewer bytes at a time than asked for."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int, /) -> bytes:
        block, self._rest = self._rest[: min(size, 5_000)], self._rest[min(size, 5_000) :]
        return block


class OnlyWrite(io.RawIOBase):
    """A target like a socket's: no seeking, and fewer bytes at a time than given."""

    def __init__(self) -> None:
        self.received = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        taken = bytes(data)[:5_000]  # type: ignore[call-overload]
        self.received += taken
        return len(taken)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[Codec, Path]:
    """Eight seconds in every format, saved to paths."""
    folder = tmp_path_factory.mktemp("encoded")
    for codec in Codec:
        PyAVAudioAdapter().save(folder / f"a.{codec}", synthetic(N_SAMPLES, RATE), RATE)
    return {codec: folder / f"a.{codec}" for codec in Codec}


@pytest.mark.parametrize("codec", list(Codec))
def test_a_file_object_is_given_what_a_path_is(
    codec: Codec, encoded: dict[Codec, Path], adapter: PyAVAudioAdapter
) -> None:
    seekable, plain = io.BytesIO(), OnlyWrite()
    for target in (seekable, plain):
        adapter.save(target, synthetic(N_SAMPLES, RATE), RATE, codec)
        assert not target.closed
    expected, _ = adapter.load(encoded[codec])
    for data in (seekable.getvalue(), plain.received):
        np.testing.assert_array_equal(adapter.load(io.BytesIO(data))[0], expected)
        if codec not in (Codec.OGG, Codec.OPUS):  # every Ogg stream has a random serial number
            assert data == encoded[codec].read_bytes()


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("part", [{}, {"offset": 5.0}, {"offset": 6.5, "duration": 0.25, "sample_rate": 44_100}])
def test_a_file_object_is_read_like_a_path(
    codec: Codec, part: dict[str, Any], encoded: dict[Codec, Path], adapter: PyAVAudioAdapter
) -> None:
    expected, sample_rate = adapter.load(encoded[codec], **part)
    file = io.BytesIO(encoded[codec].read_bytes())
    waveform, rate = adapter.load(file, **part)
    np.testing.assert_array_equal(waveform, expected)
    assert rate == sample_rate
    assert not file.closed


@pytest.mark.parametrize("codec", list(Codec))
def test_reading_begins_where_the_object_stands(
    codec: Codec, encoded: dict[Codec, Path], adapter: PyAVAudioAdapter
) -> None:
    file = io.BytesIO(b"RIFF of another kind" + encoded[codec].read_bytes())
    for offset in (0.0, 5.0):
        file.seek(20)
        np.testing.assert_array_equal(adapter.load(file, offset)[0], adapter.load(encoded[codec], offset)[0])


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("part", [{}, {"offset": 5.0}])
def test_without_seeking_the_samples_are_the_same(
    codec: Codec, part: dict[str, Any], encoded: dict[Codec, Path], adapter: PyAVAudioAdapter
) -> None:
    expected, _ = adapter.load(encoded[codec], **part)
    waveform, _ = adapter.load(OnlyRead(encoded[codec].read_bytes()), **part)
    n_padding = len(waveform) - len(expected)
    assert 0 <= n_padding <= (MP3_PADDING if codec is Codec.MP3 else 0)
    np.testing.assert_array_equal(waveform[: len(expected)], expected)


def test_a_format_that_takes_seeking_is_refused_without(adapter: PyAVAudioAdapter) -> None:
    file = io.BytesIO()
    adapter.save(file, synthetic(60 * RATE, RATE), RATE, Codec.M4A)  # its index is at its end
    with pytest.raises(DecodeError, match=r"file object: no audio could be decoded .*without seeking"):
        adapter.load(OnlyRead(file.getvalue()))


@pytest.mark.parametrize("codec", list(Codec))
def test_nothing_is_written_before_commit_and_nothing_after_abort(codec: Codec, adapter: PyAVAudioAdapter) -> None:
    for end in ("commit", "abort"):
        target = io.BytesIO(b"before")
        target.seek(0, io.SEEK_END)
        writer = adapter.create(target, RATE, 2, Encoding(codec))
        writer.write(synthetic(200_000, RATE))
        writer.close()
        assert target.getvalue() == b"before"
        getattr(writer, end)()
        writer.abort()
        assert (len(target.getvalue()) > 1_000) == (end == "commit")
        assert target.getvalue().startswith(b"before")
        assert not target.closed


def test_open_files_work_and_are_named_in_messages(
    tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    loud = 9 * synthetic(1_000)
    with (tmp_path / "a.bin").open("w+b") as file:
        adapter.save(file, loud, 44_100, Codec.FLAC)
        file.seek(0)
        assert len(adapter.load(file)[0]) == 1_000
        file.seek(0)
        with pytest.raises(DecodeError, match=r"cannot read .*a\.bin: it is 0\.02 s long"):
            adapter.load(file, offset=9)
    assert f"{tmp_path / 'a.bin'}: " in caplog.text


def test_a_file_object_has_no_extension_to_take_the_codec_from(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with (tmp_path / "a.wav").open("wb") as file:
        for act in (lambda: adapter.save(file, synthetic(5), 44_100), lambda: adapter.create(file, 44_100, 2)):
            with pytest.raises(EncodeError, match="no extension that names a codec: give the codec"):
                act()
    assert (tmp_path / "a.wav").read_bytes() == b""


@pytest.mark.parametrize("codec", list(Codec))
def test_a_file_cut_short_is_read_as_far_as_a_path_is(
    codec: Codec, encoded: dict[Codec, Path], tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    data = encoded[codec].read_bytes()[: encoded[codec].stat().st_size // 2]
    (tmp_path / "a").write_bytes(data)
    results: list[object] = []
    for source in (tmp_path / "a", io.BytesIO(data)):
        try:
            results.append(adapter.load(source)[0].tobytes())
        except DecodeError as error:
            results.append(str(error).replace(str(tmp_path / "a"), "the file object"))
    assert results[0] == results[1]


def closed() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


def at_its_end() -> io.BytesIO:
    file = io.BytesIO(b"RIFF")
    file.seek(4)
    return file


class Broken:
    """Raises, or returns what it must not, in `read` and `write`."""

    def __init__(self, result: Callable[[int], object]) -> None:
        self._result = result

    def read(self, size: int) -> object:
        return self._result(size)

    def write(self, data: bytes) -> object:
        return self._result(len(data))


def failing(_: int) -> object:
    raise OSError(5, "Input/output\nerror")


def failing_oddly(_: int) -> object:
    raise RuntimeError("connection\nlost")


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (io.BytesIO(), "the file is empty"),
        (io.BytesIO(b"no audio" * 1_000), "not an audio file"),
        (at_its_end(), "the file ends at its position, byte 4; seek back first"),
        (closed(), "it is closed"),
        (io.StringIO("text"), "it is a text file object; open it in binary mode"),
        (OnlyWrite(), "it is not readable; open it in another mode"),
        (Broken(failing), "Input/output error"),
        (Broken(failing_oddly), "connection lost"),
        (Broken(lambda size: "x" * size), "its read gives str, not bytes; open it in binary mode"),
        (Broken(lambda _: None), "its read gives nothing yet; it must block"),
        (Broken(lambda size: bytes(size + 1)), "bytes where .* were asked for"),
    ],
)
def test_what_is_wrong_with_a_source_is_one_line(source: object, match: str, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(DecodeError, match=f"^cannot read the file object: .*{match}") as caught:
        adapter.load(source)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("n_bytes", [300_000, 1_000_000])
def test_a_source_that_fails_half_way_is_an_error_and_no_shorter_waveform(
    n_bytes: int, encoded: dict[Codec, Path], adapter: PyAVAudioAdapter
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > n_bytes:
                raise ConnectionResetError(104, "Connection reset by peer")
            return super().read(size)

    with pytest.raises(DecodeError, match="cannot read the file object: Connection reset by peer"):
        adapter.load(Failing(encoded[Codec.WAV].read_bytes() + bytes(1_000_000)))


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (closed(), "it is closed"),
        (io.StringIO(), "it is a text file object; open it in binary mode"),
        (OnlyRead(b""), "is neither a path nor a writable binary file object"),
        (Broken(failing), "Input/output error"),
        (Broken(failing_oddly), "connection lost"),
        (Broken(lambda _: 0), "its write takes no bytes"),
    ],
)
@pytest.mark.parametrize("codec", [Codec.WAV, Codec.OGG])
def test_what_is_wrong_with_a_target_is_one_line(
    target: object, match: str, codec: Codec, adapter: PyAVAudioAdapter
) -> None:
    with pytest.raises(EncodeError, match=f"^cannot write the file object: .*{match}") as caught:
        adapter.save(target, synthetic(5_000), 44_100, codec)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_target_that_counts_nothing_takes_everything(encoded: dict[Codec, Path], adapter: PyAVAudioAdapter) -> None:
    blocks: list[bytes] = []

    class Uncounted:
        def write(self, data: bytes, /) -> None:
            blocks.append(data)

    adapter.save(Uncounted(), synthetic(N_SAMPLES, RATE), RATE, Codec.FLAC)
    assert b"".join(blocks) == encoded[Codec.FLAC].read_bytes()


def test_a_full_temporary_folder_is_an_error_and_the_target_is_given_nothing(adapter: PyAVAudioAdapter) -> None:
    target = io.BytesIO()
    with disk_of(30_000), pytest.raises(EncodeError, match="cannot write the file object: File too large"):
        adapter.save(target, synthetic(200_000), 44_100, Codec.WAV)
    assert target.getvalue() == b""


def test_memory_does_not_grow_with_the_length(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    block = np.tile(synthetic(8_000, 8_000), (30, 1))
    tracemalloc.start()
    try:
        with (tmp_path / "long.wav").open("w+b") as file:
            writer = adapter.create(file, 8_000, 2, Encoding(Codec.WAV, bit_depth=32))
            writer.write_all(block for _ in range(40))  # 77 MB
            file.seek(0)
            with adapter.open(file) as reader:
                total = sum(len(piece) for piece in reader.blocks())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 40 * len(block)
    assert peak < 12e6
