"""Every container and encoder that the program ffmpeg offers, against plain PyAV; what is cut, chained or late."""

from __future__ import annotations

import io
import logging
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from spleeter.audio.convertor import to_float, to_n_channels
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError
from spleeter.types import Waveform
from tests.audio.signals import lag, synthetic

RATE = 44_100
KINDS = """
    m4a aac, m4a alac, mp4 ac3, mp4 libopus, mp4 libmp3lame, mov pcm_s24be, mkv aac, mkv libmp3lame, mkv flac,
    mkv ac3, mka libopus, mka libvorbis, webm libopus, webm libvorbis, ogg libvorbis, ogg flac, opus libopus,
    flac flac, mp3 libmp3lame, mp2 mp2, aac aac, ac3 ac3, eac3 eac3, dts dca, wma wmav2, asf libmp3lame,
    wv wavpack, tta tta, caf pcm_s24be, caf alac, caf flac, aiff pcm_s24be, au pcm_s16be, w64 pcm_s16le,
    wav adpcm_ms, wav libmp3lame, ts aac, ts ac3, ts mp2, mpg mp2, mpg ac3, vob ac3, flv aac, flv libmp3lame,
    avi libmp3lame, avi dca, avi pcm_s16le, nut libvorbis, 3gp aac
"""

CUT_KINDS = """
    mkv aac, mka flac, webm libopus, webm libvorbis, ogg libvorbis, opus libopus, ogg flac, flac flac, mp3 libmp3lame,
    flv aac, wma wmav2, avi libmp3lame, aiff pcm_s16be, au pcm_s16be, caf pcm_s16le, w64 pcm_s16le, wav pcm_s16le,
    wav adpcm_ms, wv wavpack, tta tta, m4a aac, mp4 aac, ts aac
"""


def ffmpeg(*arguments: str) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs the program ffmpeg on the PATH, as an independent encoder")
    result = subprocess.run([program, "-v", "error", "-y", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"this ffmpeg cannot encode it: {result.stderr[-200:]}")


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, synthetic(5 * RATE + 123), RATE, subtype="PCM_24")
    return path


def plain(path: Path) -> Waveform:
    """All samples that PyAV decodes."""
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            parts.append(samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels))
    return to_float(np.concatenate(parts))


def read(
    source: object, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> tuple[Waveform, int, list[str]]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "spleeter"):
        waveform, sample_rate = adapter.load(source)
    return waveform, round(sample_rate), [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("kind", [kind.strip() for kind in KINDS.split(",")])
def test_an_undamaged_file_has_the_samples_that_are_in_it(
    kind: str, song: Path, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    extension, encoder = kind.split()
    path = tmp_path / f"a.{extension}"
    ffmpeg("-i", str(song), "-c:a", encoder, "-strict", "-2", str(path))
    waveform, sample_rate, messages = read(path, adapter, caplog)
    expected = plain(path)
    has_padding = extension in ("m4a", "mp4", "3gp") and encoder in ("aac", "libopus")
    assert 0 <= len(expected) - len(waveform) < (1024 if has_padding else 1)
    np.testing.assert_array_equal(waveform, expected[: len(waveform)])
    assert not messages
    for offset in (0.7, 4.01):
        part, _ = adapter.load(path, offset=offset)
        np.testing.assert_array_equal(part, waveform[round(offset * sample_rate) :])


def remuxed(source: Path, target: Path, dropped: range) -> None:
    """Copy the packets of a file, but for some."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.audio[0])
        for number, packet in enumerate(reading.demux(audio=0)):
            if packet.dts is not None and number not in dropped:
                packet.stream = stream
                writing.mux(packet)


@pytest.mark.parametrize("extension", ["m4a", "mkv", "ts"])
def test_a_hole_is_filled_with_silence(
    extension: str, song: Path, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    whole, holed = tmp_path / "a.m4a", tmp_path / f"b.{extension}"
    ffmpeg("-i", str(song), "-c:a", "aac", str(whole))
    remuxed(whole, holed, range(100, 120))
    expected = plain(whole)
    waveform, _, (message,) = read(holed, adapter, caplog)
    assert "silence stands for" in message
    assert len(waveform) == pytest.approx(
        len(expected), abs=2 * 1024
    )  # the edit list of m4a takes off up to two frames
    assert abs(lag(waveform[3 * RATE :], expected[3 * RATE :])) <= (0 if extension == "m4a" else 1024)


@pytest.mark.parametrize(
    "kind",
    [kind.strip() for kind in CUT_KINDS.split(",")],
)
def test_a_file_that_is_cut_says_so(
    kind: str, song: Path, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    extension, encoder = kind.split()
    path = tmp_path / f"a.{extension}"
    flags = "frag_keyframe+empty_moov" if extension == "mp4" else "faststart"
    options = ["-movflags", flags, "-frag_duration", "500000"] if extension in ("m4a", "mp4") else []
    ffmpeg("-i", str(song), "-c:a", encoder, *options[: 2 if extension == "m4a" else 4], str(path))
    data = path.read_bytes()
    path.write_bytes(data[: int(0.55 * len(data))])
    waveform, sample_rate, messages = read(path, adapter, caplog)
    assert 1.9 < len(waveform) / sample_rate < 3.1
    assert any("shorter than its header says" in m or "cut off at its end" in m or "damaged" in m for m in messages)


def encoded(waveform: Waveform, sample_rate: int, encoder: str, folder: Path) -> bytes:
    soundfile.write(folder / "link.wav", waveform, sample_rate, subtype="PCM_16")
    ffmpeg("-i", str(folder / "link.wav"), "-c:a", encoder, str(folder / "link.ogg"))
    return (folder / "link.ogg").read_bytes()


@pytest.mark.parametrize("encoder", ["libvorbis", "libopus", "flac"])
@pytest.mark.parametrize("links", ["alike", "then mono", "mono first", "other rate", "one twice", "many"])
def test_chained_ogg_is_its_links_one_after_the_other(
    encoder: str, links: str, tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    first = encoded(synthetic(2 * RATE), RATE, encoder, tmp_path)
    other = encoded(synthetic(3 * RATE, seed=1), RATE, encoder, tmp_path)
    mono = encoded(synthetic(2 * RATE, RATE, 1), RATE, encoder, tmp_path)
    rate = encoded(synthetic(2 * 32_000, 32_000), 32_000, encoder, tmp_path)
    parts = {
        "alike": [first, other],
        "then mono": [first, mono],
        "mono first": [mono, first],
        "other rate": [first, rate],
        "one twice": [first, first],
        "many": [first, mono, rate, other],
    }[links]
    waveform, sample_rate, messages = read(io.BytesIO(b"".join(parts)), adapter, caplog)
    expected = []
    for part in parts:
        link, link_rate = adapter.load(io.BytesIO(part))
        channels = waveform.shape[1]
        link = link.mean(axis=1, keepdims=True) if channels < link.shape[1] else to_n_channels(link, channels)
        expected.append(link if link_rate == sample_rate else soxr.resample(link, link_rate, sample_rate, "VHQ"))
    np.testing.assert_allclose(waveform, np.concatenate(expected), atol=1e-6)
    assert not messages
    for offset in (1.0, 2.5, 3.4):
        excerpt, _ = adapter.load(io.BytesIO(b"".join(parts)), offset=offset)
        np.testing.assert_array_equal(excerpt, waveform[round(offset * sample_rate) :])


def test_a_link_without_audio_is_told_and_the_next_is_read(
    tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    link = encoded(synthetic(RATE), RATE, "libvorbis", tmp_path)
    body = bytes(8) + b"abcd" + bytes(8) + b"\1\x08" + b"\x80unknown"
    unknown = b"OggS\0\2" + body + b"OggS\0\4" + body
    waveform, _, (message,) = read(io.BytesIO(link + unknown + link), adapter, caplog)
    assert len(waveform) == 2 * RATE
    assert message.startswith("the link at 1.00 s of the chained Ogg is left out: ")


@pytest.mark.parametrize("n_samples", [1, 64, 128, 500, 1000, 5000, 20_000])
def test_vorbis_in_one_page_has_every_sample(n_samples: int, adapter: PyAVAudioAdapter) -> None:
    file = io.BytesIO()
    soundfile.write(file, synthetic(n_samples), RATE, format="OGG", subtype="VORBIS")
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32", always_2d=True)
    waveform, _ = adapter.load(io.BytesIO(file.getvalue()))
    assert len(waveform) == n_samples
    np.testing.assert_allclose(waveform, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts", "late.mpg"])
def test_sound_that_starts_later_than_the_picture_keeps_its_start_on_request(
    name: str, song: Path, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    path = tmp_path / name
    pictures = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=4"]
    ffmpeg(*pictures, "-itsoffset", "1.5", "-i", str(song), "-c:a", "mp2", "-c:v", "mpeg2video", str(path))
    waveform, sample_rate = adapter.load(path)
    with adapter.open(path, keep_start=True) as reader:
        kept = np.concatenate(list(reader.blocks()))
    n_lead = len(kept) - len(waveform)
    assert n_lead / sample_rate == pytest.approx(1.5, abs=0.05)
    assert not kept[:n_lead].any()
    np.testing.assert_array_equal(kept[n_lead:], waveform)
    for offset in (0.5, 2.0):
        with adapter.open(path, offset, keep_start=True) as reader:
            part = np.concatenate(list(reader.blocks()))
        np.testing.assert_array_equal(part, kept[round(offset * sample_rate) :])


def test_a_stream_is_chosen_by_its_number(song: Path, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    path = tmp_path / "two.mka"
    ffmpeg("-i", str(song), "-map", "0", "-map", "0", "-c:a:0", "flac", "-ac:a:0", "1", "-c:a:1", "flac", str(path))
    for number, n_channels in enumerate((1, 2)):
        with adapter.open(path, stream=number) as reader:
            assert reader.n_channels == n_channels
    for number in (-1, 2):
        with pytest.raises(DecodeError, match=rf"no audio stream {number}; choose of 0 \(flac\), 1 \(flac\)"):
            adapter.open(path, stream=number)
