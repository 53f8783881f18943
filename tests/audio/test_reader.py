"""Laws of reading: every sample, at its time, in blocks as in one piece."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from spleeter.audio.blocks import downmix_matrix
from spleeter.audio.codec import Codec
from spleeter.audio.convertor import n_resampled
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError
from spleeter.types import Waveform
from tests.audio.conftest import FfmpegDecode
from tests.audio.signals import synthetic

RATE = 22050
N_SAMPLES = 8 * RATE + 123
SUBTYPES = {
    "u8.wav": "PCM_U8",
    "s16.wav": "PCM_16",
    "s24.wav": "PCM_24",
    "s32.wav": "PCM_32",
    "f32.wav": "FLOAT",
    "f64.wav": "DOUBLE",
    "s24.aiff": "PCM_24",
    "s16.caf": "PCM_16",
    "s16.au": "PCM_16",
    "f32.w64": "FLOAT",
    "s16.flac": "PCM_16",
    "s24.flac": "PCM_24",
    "ulaw.wav": "ULAW",
}
"""Lossless files (and one of logarithmic PCM), written and read back by libsndfile as the oracle."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Eight seconds of the same waveform in every kind of file."""
    folder = tmp_path_factory.mktemp("files")
    waveform = synthetic(N_SAMPLES, RATE)
    for name, subtype in SUBTYPES.items():
        soundfile.write(folder / name, waveform, RATE, subtype=subtype)
    for codec in Codec:
        PyAVAudioAdapter().save(folder / f"a.{codec}", waveform, RATE)
    return {path.name: path for path in folder.iterdir()}


ALL = [*SUBTYPES, *(f"a.{codec}" for codec in Codec)]


def blocks(adapter: PyAVAudioAdapter, path: object, **part: object) -> list[Waveform]:
    with adapter.open(path, **part) as reader:  # type: ignore[arg-type]
        return list(reader.blocks())


@pytest.mark.parametrize("name", SUBTYPES)
def test_lossless_files_are_read_to_the_bit(name: str, adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    expected, _ = soundfile.read(files[name], dtype="float64", always_2d=True)
    waveform, sample_rate = adapter.load(files[name])
    assert waveform.dtype == np.float32
    assert sample_rate == RATE
    np.testing.assert_array_equal(waveform, expected.astype(np.float32))


def test_int16_is_read_as_int16_divided_by_32768(adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    integers, _ = soundfile.read(files["s16.wav"], dtype="int16")
    waveform, _ = adapter.load(files["s16.wav"])
    np.testing.assert_array_equal(waveform, integers / np.float32(32768))


@pytest.mark.parametrize("name", ALL)
def test_an_excerpt_is_the_slice_of_the_whole(name: str, adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    whole, sample_rate = adapter.load(files[name])
    for offset, duration in [(0.0, 0.1), (0.5, 1.0), (3.01, 0.7), (6.1234, 0.25), (7.9, None), (2.0, 100.0)]:
        part, _ = adapter.load(files[name], offset=offset, duration=duration)
        start = round(offset * sample_rate)
        stop = None if duration is None else start + round(duration * sample_rate)
        np.testing.assert_array_equal(part, whole[start:stop])


@pytest.mark.parametrize("name", ALL)
def test_blocks_joined_are_what_is_loaded(name: str, adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    whole, sample_rate = adapter.load(files[name])
    with adapter.open(files[name]) as reader:
        assert (reader.sample_rate, reader.source_sample_rate, reader.n_channels) == (sample_rate, sample_rate, 2)
        assert reader.n_samples == pytest.approx(len(whole), abs=0.1 * RATE)
        pieces = list(reader.blocks())
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert all(piece.flags.c_contiguous and piece.dtype == np.float32 and len(piece) for piece in pieces)
    assert max(map(len, pieces)) < 2 * 65536 < len(whole) + 65536
    assert min(map(len, pieces[:-1])) >= 16384


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000, 192000])
def test_resampling_block_by_block_is_resampling_the_whole(
    sample_rate: int, adapter: PyAVAudioAdapter, files: dict[str, Path]
) -> None:
    whole, _ = adapter.load(files["s16.wav"])
    expected = soxr.resample(whole, RATE, sample_rate, quality="VHQ")
    waveform, rate = adapter.load(files["s16.wav"], sample_rate=sample_rate)
    assert (rate, len(waveform)) == (sample_rate, n_resampled(len(whole), RATE, sample_rate))
    common = min(len(waveform), len(expected))
    np.testing.assert_allclose(waveform[:common], expected[:common], atol=1e-6)
    with adapter.open(files["s16.wav"], 1.0, 2.0, sample_rate) as reader:
        assert reader.n_samples == sum(map(len, reader.blocks())) == 2 * sample_rate


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_any_rate_and_number_of_channels(
    sample_rate: int, n_channels: int, adapter: PyAVAudioAdapter, tmp_path: Path
) -> None:
    original = synthetic(sample_rate // 4, sample_rate, n_channels)
    soundfile.write(tmp_path / "a.wav", original, sample_rate, subtype="FLOAT")
    waveform, rate = adapter.load(tmp_path / "a.wav")
    assert rate == sample_rate
    np.testing.assert_array_equal(waveform, original)
    stereo = np.concatenate(blocks(adapter, tmp_path / "a.wav", n_channels=2, sample_rate=44100))
    assert stereo.shape == (n_resampled(len(original), sample_rate, 44100), 2)


def test_channels_are_copied_mixed_or_cut(adapter: PyAVAudioAdapter, tmp_path: Path) -> None:
    for n_channels in (1, 2, 6):
        soundfile.write(tmp_path / f"{n_channels}.wav", synthetic(500, RATE, n_channels), RATE, subtype="FLOAT")
    mono, stereo, many = (adapter.load(tmp_path / f"{n}.wav")[0] for n in (1, 2, 6))
    assert [part.shape[1] for part in (mono, stereo, many)] == [1, 2, 6]

    def read(name: str, n_channels: int) -> Waveform:
        return np.concatenate(blocks(adapter, tmp_path / name, n_channels=n_channels))

    np.testing.assert_array_equal(read("1.wav", 2), np.repeat(mono, 2, axis=1))
    np.testing.assert_array_equal(read("2.wav", 2), stereo)
    np.testing.assert_allclose(read("2.wav", 1)[:, 0], stereo.mean(axis=1), atol=1e-7)
    np.testing.assert_allclose(read("6.wav", 2), many @ downmix_matrix("5.1", 2).T, atol=1e-6)
    np.testing.assert_array_equal(read("6.wav", 4), many[:, :4])


@pytest.mark.parametrize("codec", ["aac", "flac", "pcm_s16le"])
def test_eight_channels_apart_or_interleaved_are_read(codec: str, adapter: PyAVAudioAdapter, tmp_path: Path) -> None:
    tones = [np.sin(2 * np.pi * (60 if c == 3 else 300 * (c + 1)) * np.arange(48000) / 48000) for c in range(8)]
    original = (0.3 * np.stack(tones, axis=1)).astype(np.float32)
    write_with_ffmpeg(tmp_path / "a.mka", original, 48000, codec, "7.1")
    waveform, _ = adapter.load(tmp_path / "a.mka")
    error = waveform[4096:40000] - original[4096:40000]
    assert waveform.shape[1] == 8
    assert np.sqrt(np.mean(error**2, axis=0)).max() < 0.03


def write_with_ffmpeg(path: Path, waveform: Waveform, sample_rate: int, codec: str, layout: str) -> None:
    """Encode with FFmpeg's libraries directly, past the adapter's own writer."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(waveform.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, 0
        converted = av.AudioResampler(format=stream.format, layout=layout, rate=sample_rate).resample(frame)
        for part in [*converted, None]:
            container.mux(stream.encode(part))


def test_the_audio_of_a_video_is_read(adapter: PyAVAudioAdapter, tmp_path: Path) -> None:
    original = synthetic(RATE, RATE, 1)
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10, width=64, height=64)
        track = container.add_stream("flac", rate=RATE)
        assert isinstance(pictures, av.VideoStream)
        assert isinstance(track, av.AudioStream)
        track.codec_context.layout = "mono"
        for _ in range(10):
            container.mux(pictures.encode(av.VideoFrame(64, 64, "yuv420p")))
        integers = (original * 32768).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(integers.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
        container.mux(pictures.encode(None))
    waveform, _ = adapter.load(path)
    np.testing.assert_array_equal(waveform, integers / np.float32(32768))


def test_the_mixture_is_read_from_a_file_of_five_streams(adapter: PyAVAudioAdapter) -> None:
    package = find_spec("stempeg")  # importing it would ask for an ffmpeg
    if package is None or package.origin is None:
        pytest.skip("needs the five-stream example that the package stempeg ships")
    (path,) = (Path(package.origin).parent / "data").glob("*.stem.mp4")
    waveform, sample_rate = adapter.load(path)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(container.streams.audio[0])]
    expected = np.concatenate(frames, axis=1).T
    assert sample_rate == 44100
    assert 0 <= len(expected) - len(waveform) < 1024  # the last frame's padding
    np.testing.assert_array_equal(waveform, expected[: len(waveform)])


@pytest.mark.parametrize("name", ALL)
def test_ffmpeg_itself_decodes_the_same(
    name: str, adapter: PyAVAudioAdapter, files: dict[str, Path], ffmpeg_decode: FfmpegDecode
) -> None:
    expected = ffmpeg_decode(files[name], 2)
    waveform, _ = adapter.load(files[name])
    n_padding = len(expected) - len(waveform)
    assert 0 <= n_padding < (1024 if name.endswith(".m4a") else 1)  # an older ffmpeg keeps AAC's last frame
    np.testing.assert_allclose(waveform, expected[: len(waveform)], atol=2e-6)


@pytest.mark.parametrize("name", ["audio_example.mp3", "audio_example_mono.mp3"])
def test_the_original_packages_examples_have_their_exact_length(
    name: str, adapter: PyAVAudioAdapter, shared: Path
) -> None:
    waveform, sample_rate = adapter.load(shared / "audio" / name)
    assert waveform.shape == (479832, 1 if "mono" in name else 2)
    assert waveform.dtype == np.float32
    assert sample_rate == 44100


def test_a_path_may_be_text_bytes_or_an_object(adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    path = files["s16.wav"]
    whole, _ = adapter.load(path)
    for same in (str(path), os.fsencode(path)):
        np.testing.assert_array_equal(adapter.load(same)[0], whole)


@pytest.mark.parametrize("dtype", [b"float32", "float64", b"float64"])
def test_the_asked_type_is_given(dtype: bytes | str, adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    waveform, _ = adapter.load(files["s16.wav"], dtype=dtype)
    assert waveform.dtype == (dtype.decode() if isinstance(dtype, bytes) else dtype)


def test_a_pipe_is_read_from_its_beginning(adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    if not Path("/dev/stdin").exists():
        pytest.skip("this system has no /dev/stdin")
    code = "from spleeter.audio.pyav import *; print(len(PyAVAudioAdapter().load('/dev/stdin', offset=4.0)[0]))"
    process = subprocess.run(
        [sys.executable, "-c", code], input=files["s16.flac"].read_bytes(), capture_output=True, check=False
    )
    assert int(process.stdout or b"0") == N_SAMPLES - 4 * RATE, process.stderr.decode()


def test_memory_does_not_grow_with_the_length(adapter: PyAVAudioAdapter, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros((20 * 60 * 8000, 2)), 8000)  # decoded, 77 MB
    tracemalloc.start()
    try:
        with adapter.open(tmp_path / "long.flac", sample_rate=11025) as reader:
            total = sum(len(block) for block in reader.blocks())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 20 * 60 * 11025
    assert peak < 12e6


@pytest.mark.parametrize(
    "part",
    [
        {"offset": -1.0},
        {"offset": float("nan")},
        {"duration": 0.0},
        {"duration": -2.0},
        {"duration": float("inf")},
        {"sample_rate": 0},
        {"sample_rate": float("nan")},
    ],
)
def test_values_that_describe_no_excerpt_are_refused(
    part: dict[str, float], adapter: PyAVAudioAdapter, files: dict[str, Path]
) -> None:
    with pytest.raises(DecodeError, match=str(next(iter(part.values())))):
        blocks(adapter, files["s16.wav"], **part)


@pytest.mark.parametrize("name", ALL)
def test_an_offset_beyond_the_end_says_how_long_the_file_is(
    name: str, adapter: PyAVAudioAdapter, files: dict[str, Path]
) -> None:
    waveform, sample_rate = adapter.load(files[name])
    for offset in (len(waveform) / sample_rate, 10.0, 1e6):
        with pytest.raises(DecodeError, match=rf"it is {len(waveform) / sample_rate:.2f} s long"):
            adapter.open(files[name], offset=offset)


def test_an_excerpt_too_short_for_a_sample_is_refused(adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    for part in ({"duration": 1e-9}, {"duration": 1 / RATE, "sample_rate": 8000}):
        with pytest.raises(DecodeError, match="too short for one sample"):
            blocks(adapter, files["s16.wav"], **part)


def test_closing_early_and_twice_is_fine(adapter: PyAVAudioAdapter, files: dict[str, Path]) -> None:
    reader = adapter.open(files["a.mp3"])
    next(reader.blocks())
    reader.close()
    reader.close()
    assert list(reader.blocks()) == []


def test_undamaged_files_do_not_warn(
    adapter: PyAVAudioAdapter, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "spleeter"):
        for name in ALL:
            adapter.load(files[name])
    assert not caplog.records
