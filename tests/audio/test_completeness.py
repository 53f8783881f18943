"""What is cut off, empty, overwritten or something else is told from a complete file; every complete one is taken."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import soundfile

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.completeness import complete_length
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError
from tests.audio.pictures import picture
from tests.conftest import synthetic_music

RATE = 44_100


def write(path: Path, n_samples: int, codec: Codec, metadata: AudioMetadata | None = None) -> Path:
    writer = PyAVAudioAdapter().create(path, RATE, 2, Encoding(codec, None), metadata)
    writer.write_all([synthetic_music(n_samples)])
    return path


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("n_samples", [1, 1_000, 44_100, 50_000, 300_001])
def test_files_of_every_format_and_length_are_complete(codec: Codec, n_samples: int, tmp_path: Path) -> None:
    length = complete_length(write(tmp_path / "file", n_samples, codec))
    assert length.seconds == pytest.approx(n_samples / RATE, abs=0.1)  # wma's are up to two frames longer


@pytest.mark.parametrize("codec", Codec)
def test_tags_and_covers_do_not_matter(codec: Codec, tmp_path: Path) -> None:
    metadata = AudioMetadata({"title": "Ää" * 500, "comment": "Xing Info OggS data"}, picture("mjpeg"))
    length = complete_length(write(tmp_path / "file", 100_000, codec, metadata))
    assert length.seconds == pytest.approx(100_000 / RATE, abs=0.3)  # wma's is estimated from the size of the file


@pytest.mark.parametrize("codec", Codec)
def test_what_is_cut_off_is_found(codec: Codec, tmp_path: Path) -> None:
    content = write(tmp_path / "whole", 5 * RATE, codec).read_bytes()
    for kept in (0, 1, 40, len(content) // 10, len(content) // 2, len(content) * 9 // 10, len(content) - 4_000):
        (tmp_path / "cut").write_bytes(content[:kept])
        with pytest.raises(DecodeError, match=r"cut is not a complete audio file: ") as caught:
            complete_length(tmp_path / "cut")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec != Codec.WAV])
def test_what_never_reached_the_disk_is_found(codec: Codec, tmp_path: Path) -> None:
    """Some file systems leave zeros after a power loss. In a WAV file they may be silence."""
    content = write(tmp_path / "whole", 5 * RATE, codec).read_bytes()
    for kept in (0, len(content) // 2):
        (tmp_path / "lost").write_bytes(content[:kept] + bytes(len(content) - kept))
        with pytest.raises(DecodeError, match="not a complete audio file"):
            complete_length(tmp_path / "lost")


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 2_000, bytes(10_000), b"RIFF", b"RIFF\0\0\0\0WAVEdata\xff\xff\xff"]
)
def test_other_files_are_no_audio(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.wav").write_bytes(content)
    with pytest.raises(DecodeError, match="not a complete audio file"):
        complete_length(tmp_path / "file.wav")
    with pytest.raises(DecodeError, match="not a complete audio file"):
        complete_length(tmp_path / "absent.wav")
    with pytest.raises(DecodeError, match="not a complete audio file"):
        complete_length(tmp_path)


def test_zeros_behind_a_header_of_wav_are_no_audio(tmp_path: Path) -> None:
    with (tmp_path / "file.wav").open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWAVE")
        file.truncate(1 << 31)
    with pytest.raises(DecodeError, match="not a complete audio file: none of its first"):
        complete_length(tmp_path / "file.wav")


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "CAF", "W64", "AU", "FLAC", "OGG", "MP3"])
def test_files_of_libsndfile(kind: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "file", synthetic_music(RATE), RATE, format=kind)
    length = complete_length(tmp_path / "file")
    assert length.seconds == pytest.approx(1, abs=0.06)  # libsndfile's MP3 files begin with the encoder's delay


@pytest.mark.parametrize(
    ("name", "is_certain"),
    [
        ("vbr.mp3", True),
        ("without-tag.mp3", False),
        ("song.mka", True),
        ("song.webm", True),
        ("song.aiff", True),
        ("song.m4a", True),
        ("two-streams.mka", False),
        ("song.ogg", False),
        ("stream.wav", None),
    ],
)
def test_only_a_length_that_the_file_tells_is_certain(name: str, is_certain: bool | None, tmp_path: Path) -> None:
    """None: it promises more than there is, as what FFmpeg writes into a pipe does."""
    soundfile.write(tmp_path / "in.wav", synthetic_music(2 * RATE), RATE)
    options = {
        "vbr.mp3": ["-q:a", "4"],
        "without-tag.mp3": ["-write_xing", "0"],
        "two-streams.mka": ["-map", "0:a", "-map", "0:a"],
        "song.ogg": ["-c:a", "libopus"],
    }.get(name, [])
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(tmp_path / "in.wav"), *options]
    if name == "stream.wav":
        made = subprocess.run([*command, "-f", "wav", "-"], check=True, capture_output=True)
        (tmp_path / name).write_bytes(made.stdout)
    else:
        subprocess.run([*command, str(tmp_path / name)], check=True)
    for trusts_header in (True, False):
        if is_certain is None:
            with pytest.raises(DecodeError, match="bytes of samples"):
                complete_length(tmp_path / name, trusts_header=trusts_header)
        else:
            length = complete_length(tmp_path / name, trusts_header=trusts_header)
            assert length.is_certain == is_certain
            assert length.seconds == pytest.approx(2, abs=0.1)
