"""The length that WAV headers declare, against what was written into them."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.audio.demuxer import wav_length
from spleeter.audio.files import InputFile


def declared(path: Path) -> int | None:
    file = InputFile(path)
    try:
        count = wav_length(file)
        assert file.tell() == 0
        return count
    finally:
        file.close()


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
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((100, 1)), 8000, subtype="PCM_16")
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:at] + struct.pack("<I", size) + data[at + 4 :])
    assert declared(path) is None


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt ", b"x" * 99]
)
def test_a_file_that_is_no_wav_declares_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert declared(path) is None


def test_compressed_audio_declares_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((1000, 1)), 8000, subtype="IMA_ADPCM")
    assert declared(path) is None
