"""What WAV headers and their relatives say, against what was written into them, and what is made of it."""

import logging
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.audio.files import InputFile
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.audio.riff import WavHeader, read_wav_header
from spleeter.errors import DecodeError
from tests.audio.signals import synthetic

RATE = 44_100
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def header_of(path: Path) -> WavHeader | None:
    file = InputFile(path)
    try:
        header = read_wav_header(file)
        assert file.tell() == 0
        return header
    finally:
        file.close()


def declared(path: Path) -> int | None:
    header = header_of(path)
    return None if header is None else header.length


def wav(
    data: bytes, tag: int = PCM, n_channels: int = 2, frame_size: int = 4, bits: int = 16, extension: bytes = b"",
    rate: int = RATE, size: int | None = None,
) -> bytes:  # fmt: skip
    """A WAV file of one format and one data chunk."""
    head = struct.pack("<HHIIHH", tag, n_channels, rate, rate * frame_size & 0xFFFFFFFF, frame_size, bits)
    head += struct.pack("<H", len(extension)) + extension if extension else b""
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) & 0xFFFFFFFF) + b"WAVE" + chunks


def extensible(subformat: int, valid_bits: int) -> bytes:
    return struct.pack("<HIH", valid_bits, 3, subformat) + bytes.fromhex("000000001000800000aa00389b71")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
def test_the_length_is_read_from_the_header(tmp_path: Path, subtype: str, form: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((1234, 3)), 8000, subtype=subtype, format=form)
    assert declared(path) == 1234
    path.write_bytes(path.read_bytes()[:400])
    assert declared(path) == 1234


def test_chunks_before_the_samples_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(400))
    data = path.read_bytes()
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(data[:12] + odd + data[12:])
    assert declared(path) == 100


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_size_never_filled_in_declares_nothing(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.wav").write_bytes(wav(bytes(400), size=size))
    assert declared(tmp_path / "a.wav") is None


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt ", b"x" * 99]
)
def test_a_file_that_is_no_wav_declares_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert declared(path) is None


def test_compressed_audio_declares_no_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((1000, 1)), 8000, subtype="IMA_ADPCM")
    assert declared(tmp_path / "a.wav") is None


def integers(n_samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (synthetic(n_samples, RATE, seed=seed) * 32767).astype("<i2")


def warnings(path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture) -> tuple[np.ndarray, list[str]]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "spleeter"):
        waveform, _ = adapter.load(path)
    return waveform, [record.getMessage() for record in caplog.records]


def test_a_header_that_says_less_than_there_is_is_told(
    tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(integers().tobytes(), size=RATE))  # a quarter
    waveform, (message,) = warnings(path, adapter, caplog)
    assert len(waveform) == RATE // 4
    assert "a.wav is longer than its header says: its last 0.75 s are left out" in message


@pytest.mark.parametrize(
    "rest",
    [b"", b"\0", bytes(5000), b"LIST\x04\0\0\0abcd", b"JUNK\x03\0\0\0abc\0PAD \0\0\0\0", b"TAG" + bytes(125)],
)
def test_chunks_tags_and_padding_behind_the_samples_are_no_samples(
    rest: bytes, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(integers(1000).tobytes()) + rest)
    waveform, messages = warnings(path, adapter, caplog)
    assert len(waveform) == 1000
    assert not messages


@pytest.mark.parametrize("rest", [b"", b"LIST\x04\0\0\0abcd"])
def test_a_size_that_wrapped_at_four_gigabytes_is_unwrapped(
    rest: bytes, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    """A sparse file: zeros but for its last second."""
    path = tmp_path / "big.wav"
    end, n_bytes = integers(), (1 << 32) + 8 * RATE
    with path.open("wb") as file:
        file.write(wav(b"", size=n_bytes - (1 << 32)))
        begin = file.tell()
        file.seek(begin + n_bytes - end.nbytes)
        file.write(end.tobytes() + rest)
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("this file system has no sparse files")
    n_samples = n_bytes // 4
    assert declared(path) == n_samples
    caplog.clear()
    with caplog.at_level(logging.WARNING, "spleeter"), adapter.open(path, n_samples / RATE - 2) as reader:
        waveform = np.concatenate(list(reader.blocks()))
        assert reader.n_samples == len(waveform) == 2 * RATE
    np.testing.assert_array_equal(waveform[RATE:], end / np.float32(32768))
    assert not caplog.records


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", subtype)
        for subtype in (
            "PCM_U8",
            "PCM_16",
            "PCM_24",
            "PCM_32",
            "FLOAT",
            "DOUBLE",
            "ULAW",
            "ALAW",
            "MS_ADPCM",
            "GSM610",
        )
    ]
    + [("WAVEX", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")]
    + [("W64", "PCM_24"), ("W64", "MS_ADPCM"), ("RF64", "PCM_24"), ("AIFF", "PCM_24"), ("AIFF", "ULAW")]
    + [("AU", "ALAW"), ("AU", "PCM_24"), ("CAF", "ALAC_24"), ("CAF", "PCM_24"), ("CAF", "ULAW")],
)
def test_kinds_of_wav_and_relatives_are_read_as_libsndfile_reads_them(
    form: str, subtype: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    path = tmp_path / "a"
    n_channels = 1 if subtype == "GSM610" else 2
    soundfile.write(path, synthetic(8000, 8000, n_channels), 8000, format=form, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    waveform, sample_rate = adapter.load(path)
    assert sample_rate == 8000
    assert 0 <= len(expected) - len(waveform) < 1024 or 0 <= len(waveform) - len(expected) < 1024  # a block's padding
    common = min(len(expected), len(waveform))
    np.testing.assert_allclose(waveform[:common], expected[:common], atol=2e-3 if "ADPCM" in subtype else 1e-6)


def test_twenty_four_bits_that_fill_thirty_two_are_read_as_such(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    samples = (synthetic(5000) * 2**23).astype("<i4") << 8
    path = tmp_path / "a.wav"
    path.write_bytes(wav(samples.tobytes(), EXTENSIBLE, 2, 8, 32, extensible(PCM, 24)))
    waveform, _ = adapter.load(path)
    np.testing.assert_array_equal(waveform, samples / np.float32(2**31))


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ((PCM, 2, 8, 24, b""), "samples of 24 bits in 4 bytes each are not understood"),
        ((PCM, 2, 8, 16, b""), "samples of 16 bits in 4 bytes each are not understood"),
        ((EXTENSIBLE, 2, 8, 24, extensible(PCM, 24)), "samples of 24 bits in 4 bytes each"),
        ((FLOAT, 2, 4, 16, b""), r"no audio stream that can be decoded \(WAV format 0x0003, 16 bits\)"),
        ((0x1234, 2, 4, 16, b""), r"no audio stream that can be decoded \(WAV format 0x1234, 16 bits\)"),
        ((EXTENSIBLE, 2, 4, 16, bytes(range(22))), "no audio stream that can be decoded"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    header: tuple[int, int, int, int, bytes], match: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.random.default_rng(0).bytes(80_000), *header))
    with pytest.raises(DecodeError, match=match):
        adapter.load(path)


@pytest.mark.parametrize("rate", [0, 1, 7, 999, 1_000_001, 2**31 - 1, 2**32 - 1])
def test_a_rate_that_no_recording_has_is_refused(rate: int, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(integers(10_000).tobytes(), rate=rate))
    with pytest.raises(DecodeError, match=r"1000 to 1000000 Hz are read|not an audio file"):
        adapter.open(path, sample_rate=44_100)


def test_a_number_of_channels_that_no_recording_has_is_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    path = tmp_path / "a.wav"
    for n_channels in (65, 500, 65_535):
        path.write_bytes(wav(bytes(400_000), n_channels=n_channels, frame_size=2 * n_channels & 0xFFFF))
        with pytest.raises(DecodeError, match=r"up to 64 are read|not an audio file|no audio"):
            adapter.load(path)


def test_blocks_are_bounded_after_resampling(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(integers(100_000).tobytes(), rate=1000))
    with adapter.open(path, sample_rate=192_000) as reader:
        sizes = [len(block) for block in reader.blocks()]
    assert sum(sizes) == 100_000 * 192
    assert max(sizes) < 1 << 19
