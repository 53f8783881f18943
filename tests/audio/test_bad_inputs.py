"""Whatever a file holds or is called: samples, or one clear line; no traceback, no hang, nothing printed."""

from __future__ import annotations

import errno
import io
import logging
import random
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.audio.codec import Codec
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError
from spleeter.types import Waveform
from tests.audio.pictures import picture
from tests.audio.signals import snr, synthetic

RATE = 22050
N_SAMPLES = 3 * RATE + 57


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[Codec, bytes]:
    """Three seconds in every codec."""
    path = tmp_path_factory.mktemp("encoded") / "a"
    result = {}
    for codec in Codec:
        PyAVAudioAdapter().save(path, synthetic(N_SAMPLES, RATE), RATE, codec)
        result[codec] = path.read_bytes()
    return result


def failure(path: object, adapter: PyAVAudioAdapter, match: str) -> None:
    with pytest.raises(DecodeError, match=match) as caught:
        adapter.load(path)
    assert "\n" not in str(caught.value)


def damage(data: bytes, seed: int) -> bytes:
    """Flip bits, cut off, overwrite or take out: one of the four, somewhere."""
    generator = random.Random(seed)
    damaged = bytearray(data)
    begin = generator.randrange(len(data))
    end = min(len(data), begin + generator.randrange(1, 8000))
    if seed % 4 == 0:
        for _ in range(generator.randint(1, 20)):
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    elif seed % 4 == 1:
        del damaged[begin:]
    elif seed % 4 == 2:
        damaged[begin:end] = generator.randbytes(end - begin)
    else:
        del damaged[begin:end]
    return bytes(damaged)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_gives_finite_samples_or_one_clear_line(
    seed: int,
    codec: Codec,
    encoded: dict[Codec, bytes],
    tmp_path: Path,
    adapter: PyAVAudioAdapter,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"a.{codec}"
    path.write_bytes(damage(encoded[codec], seed))
    try:
        waveform, sample_rate = adapter.load(path, offset=random.Random(seed).choice([None, 1.0]))
    except DecodeError as error:
        message = str(error)
    else:
        message = ""
        assert waveform.dtype == np.float32
        assert np.isfinite(waveform).all()
        assert 0 < len(waveform) / sample_rate < 70
    assert "\n" not in message
    assert not message or str(path) in message
    assert capfd.readouterr() == ("", "")


WITHOUT_AUDIO = {
    "empty": (b"", "the file is empty"),
    "text": (b"Hello, this is no sound at all.\n" * 50, ""),
    "one byte": (b"\0", "not an audio file"),
    "zeros": (bytes(100_000), ""),
    "noise": (random.Random(0).randbytes(50_000), ""),
    "json": (b'{"a": [1, 2, 3]}', "not an audio file"),
    "png": (picture("png"), "it has no audio stream"),
    "jpeg": (picture("mjpeg"), "it has no audio stream"),
    "playlist": (b"#EXTM3U\n#EXTINF:5,\na.wav\n#EXT-X-ENDLIST\n", "not an audio file"),
}


@pytest.mark.parametrize("kind", WITHOUT_AUDIO)
@pytest.mark.parametrize("name", ["a", "a.wav", "a.mp3", "a.txt"])
def test_a_file_without_audio_is_refused_as_such(
    kind: str, name: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    data, match = WITHOUT_AUDIO[kind]
    (tmp_path / name).write_bytes(data)
    failure(tmp_path / name, adapter, rf"cannot read .*{name}: .*{match}")


@pytest.mark.parametrize("head", [b"RIFF\xff\xff\xff\x7fWAVE", b"OggS\0\2" + bytes(21)])
def test_zeros_behind_a_header_are_refused_at_once(head: bytes, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    """As an interrupted download leaves them; taken for chunks or pages they would be millions."""
    with (tmp_path / "a").open("wb") as file:
        file.write(head)
        file.truncate(1 << 27)  # a hole, which takes no room
    began = time.monotonic()
    failure(tmp_path / "a", adapter, "not an audio file")
    assert time.monotonic() - began < 10


def test_an_ogg_page_that_begins_no_stream_is_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    (tmp_path / "a.ogg").write_bytes(b"OggS\0\0" + bytes(21) + b"\1" * 40_000)
    failure(tmp_path / "a.ogg", adapter, "not an audio file")


def test_missing_files_folders_and_other_objects_are_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    failure(tmp_path / "missing.wav", adapter, r"missing\.wav: No such file or directory")
    failure(tmp_path, adapter, "Is a directory|Permission denied")
    failure(tmp_path / "a\0b", adapter, "null")
    failure(tmp_path / ("n" * 300), adapter, "name too long")
    failure("", adapter, "cannot read ''")
    for descriptor in (None, 5, 1.5, ["a.wav"]):
        failure(descriptor, adapter, "is neither a path nor a readable binary file object")


@pytest.mark.parametrize("name", ["s.wav", "s.flac", "s.aiff", "s.caf"])
def test_audio_of_no_length_is_an_error(name: str, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    soundfile.write(tmp_path / name, np.zeros((0, 2)), 44100)
    failure(tmp_path / name, adapter, "no audio|not an audio file")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_infinity_are_refused_with_their_time(
    bad: float, subtype: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    waveform = synthetic(8000, 8000)
    waveform[6000:, 1] = bad
    soundfile.write(tmp_path / "a.wav", waveform, 8000, subtype=subtype)
    failure(tmp_path / "a.wav", adapter, r"NaN or infinite samples, from 0\.750 s on")
    assert len(adapter.load(tmp_path / "a.wav", duration=0.75)[0]) == 6000
    with pytest.raises(DecodeError, match=r"0\.800 s"):
        adapter.load(tmp_path / "a.wav", offset=0.8)


@pytest.mark.parametrize("codec", [Codec.WAV, Codec.FLAC, Codec.M4A, Codec.OPUS, Codec.MP3])
def test_one_sample_is_enough(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / f"a.{codec}", np.full((1, 1), 0.5, np.float32), 44100, codec)
    waveform, _ = adapter.load(tmp_path / f"a.{codec}", sample_rate=44100)
    assert waveform.shape == (1, 1)


NAMES = [
    "-leading dash.wav",
    "--.wav",
    "%d.wav",
    "%03d.wav",
    "a%20b.wav",
    "#hash.wav",
    "http:.wav",
    "file:x.wav",
    "concat:a|b.wav",
    "pipe:0.wav",
    "data:audio.wav",
    "a:b?c=d&e.wav",
    "line\nbreak.wav",
    "tab\t.wav",
    "  spaces  .wav",
    "'quotes\".wav",
    "*[a-z]?.wav",
    "back\\slash.wav",
    "Ünïcödé 音楽 🎵.wav",
    "\udcff not utf-8.wav",
    "n" * 251 + ".wav",
    ".hidden.wav",
    "$HOME.wav",
    "no extension",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_name_just_that_file(
    name: str, tmp_path: Path, adapter: PyAVAudioAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = synthetic(3000)
    monkeypatch.chdir(tmp_path)
    try:
        (tmp_path / name).touch()
    except (OSError, UnicodeError) as error:
        pytest.skip(f"this file system knows no such name: {error}")
    for path in (tmp_path / name, name, str(tmp_path / name)):
        adapter.save(path, original, 44100, Codec.WAV)
        waveform, _ = adapter.load(path)
        assert snr(waveform, original) > 60
        assert [file.name for file in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    failure(name, adapter, "No such file")


def test_a_playlist_opens_no_other_file(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / "secret.wav", synthetic(3000), 44100)
    for name, text in {
        "a.ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
        "a.wav": "ffconcat version 1.0\nfile secret.wav\n",
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        failure(tmp_path / name, adapter, "not an audio file")


@pytest.fixture
def server() -> Iterator[list[str]]:
    """The address of a local web server, and behind it every path it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    service = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    asked.append(f"http://127.0.0.1:{service.server_port}")
    yield asked
    service.shutdown()
    service.server_close()


def test_no_address_is_ever_requested(server: list[str], tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    failure(f"{server[0]}/a.wav", adapter, "No such file")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{server[0]}/a.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.m3u8").write_text(playlist)
    failure(tmp_path / "a.m3u8", adapter, "not an audio file")
    assert len(server) == 1


def warnings_of(
    adapter: PyAVAudioAdapter, path: Path, caplog: pytest.LogCaptureFixture
) -> tuple[Waveform, list[str]]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "spleeter"):
        waveform, _ = adapter.load(path)
    return waveform, [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("codec", [Codec.WAV, Codec.FLAC, Codec.MP3])
def test_a_file_cut_short_gives_what_there_is_and_one_warning(
    codec: Codec,
    encoded: dict[Codec, bytes],
    tmp_path: Path,
    adapter: PyAVAudioAdapter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / f"a.{codec}"
    path.write_bytes(encoded[codec])
    whole, messages = warnings_of(adapter, path, caplog)
    assert not messages
    path.write_bytes(encoded[codec][: len(encoded[codec]) // 2])
    part, messages = warnings_of(adapter, path, caplog)
    (message,) = messages
    assert f"{path} is shorter than its header says: " in message
    assert f"instead of {N_SAMPLES / RATE:.2f} s" in message
    assert 0.3 * len(whole) < len(part) < 0.6 * len(whole)
    common = len(part) - 2304  # an mp3's last frames may lean on what is gone
    np.testing.assert_array_equal(part[:common], whole[:common])


@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
@pytest.mark.parametrize("where", [0.5, 0.6, 0.7])
def test_a_damaged_frame_becomes_silence_and_the_rest_stays_in_time(
    where: float, sample_rate: int, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.flac"
    adapter.save(path, synthetic(sample_rate, sample_rate), sample_rate)
    whole, _ = adapter.load(path)
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0xFF
    path.write_bytes(data)
    waveform, (message,) = warnings_of(adapter, path, caplog)
    assert waveform.shape == whole.shape
    wrong = np.flatnonzero((waveform != whole).any(axis=1))
    assert 0 < len(wrong) <= 2 * 9216
    assert not waveform[wrong[0] : wrong[-1] + 1].any()
    assert "is damaged: silence stands for" in message
    assert f"the first at {wrong[0] / sample_rate:.2f} s" in message


def test_a_lost_ogg_page_becomes_silence_and_the_rest_stays_in_time(
    encoded: dict[Codec, bytes], tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(encoded[Codec.OPUS])
    whole, _ = adapter.load(path)
    pages = [i for i in range(len(encoded[Codec.OPUS])) if encoded[Codec.OPUS].startswith(b"OggS", i)]
    begin, end = pages[3], pages[4]  # after the two of the header and the first with audio
    path.write_bytes(encoded[Codec.OPUS][:begin] + encoded[Codec.OPUS][end:])
    waveform, (message,) = warnings_of(adapter, path, caplog)
    assert waveform.shape == whole.shape
    silent = np.flatnonzero(~waveform.any(axis=1))
    assert len(silent) > 0.4 * 48000
    after = slice(silent[-1] + 24_000, None)
    assert snr(waveform[after], whole[after]) > 30
    assert "is damaged" in message


def test_a_failing_disk_is_an_error_and_not_a_short_file(
    encoded: dict[Codec, bytes], adapter: PyAVAudioAdapter
) -> None:
    class FailingDisk(io.BytesIO):
        name = "a.wav"

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1_000_000:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    failure(FailingDisk(encoded[Codec.WAV] + bytes(2_000_000)), adapter, r"cannot read a\.wav: Input/output error")


def test_a_header_that_declares_far_too_much_does_no_harm(
    encoded: dict[Codec, bytes], tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(encoded[Codec.WAV])
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    (tmp_path / "a.wav").write_bytes(data)
    waveform, (message,) = warnings_of(adapter, tmp_path / "a.wav", caplog)
    assert len(waveform) == N_SAMPLES
    assert "shorter than its header says" in message


def test_reading_does_not_print(
    encoded: dict[Codec, bytes], tmp_path: Path, adapter: PyAVAudioAdapter, capfd: pytest.CaptureFixture[str]
) -> None:
    for data in encoded.values():
        (tmp_path / "a").write_bytes(data)
        adapter.load(tmp_path / "a")
    assert capfd.readouterr() == ("", "")
