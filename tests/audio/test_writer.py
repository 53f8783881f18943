"""Laws of writing: what is written comes back, in place, in full, or not at all."""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import BIT_DEPTHS, Codec, Encoding
from spleeter.audio.convertor import StreamResampler, n_resampled, to_integers
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import EncodeError
from spleeter.types import Waveform
from tests.audio.conftest import DiskOf, FfmpegDecode
from tests.audio.pictures import picture
from tests.audio.signals import lag, snr, sound

LOSSLESS = [(codec, depth) for codec, depths in BIT_DEPTHS.items() for depth in depths]
LOSSY = [codec for codec in Codec if codec not in BIT_DEPTHS]
WMA_FRAME = 2048


def write(path: Path, blocks: list[Waveform], sample_rate: float, encoding: Encoding, **more: object) -> None:
    writer = PyAVAudioAdapter().create(path, sample_rate, blocks[0].shape[1], encoding, **more)  # type: ignore[arg-type]
    for block in blocks:
        writer.write(block)
    writer.close()
    writer.commit()


def resampled(waveform: Waveform, from_rate: int, to_rate: int) -> Waveform:
    resampler = StreamResampler(from_rate, to_rate, waveform.shape[1])
    return np.concatenate([resampler.push(waveform), resampler.finish()])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("codec", "depth"), LOSSLESS)
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_lossless_files_hold_the_rounded_samples(
    codec: Codec, depth: int, n_channels: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = 6 * sound(10_007, n_channels=n_channels)  # beyond full scale here and there
    assert np.abs(original).max() > 1
    write(tmp_path / "a", [original], 44100, Encoding(codec, bit_depth=depth))
    expected = original if depth == 32 else to_integers(original, depth) / np.float32(2 ** (depth - 1))
    for waveform, sample_rate in (
        adapter.load(tmp_path / "a"),
        soundfile.read(tmp_path / "a", dtype="float32", always_2d=True),
    ):
        assert sample_rate == 44100
        np.testing.assert_array_equal(waveform, expected)
    assert soundfile.info(tmp_path / "a").subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[depth]


@pytest.mark.parametrize(("depth", "dtype"), [(16, np.int16), (32, np.float32)])
def test_scipy_reads_our_wav_files(depth: int, dtype: type, tmp_path: Path) -> None:
    original = sound(1000)
    write(tmp_path / "a.wav", [original], 48000, Encoding(Codec.WAV, bit_depth=depth))
    sample_rate, samples = wavfile.read(tmp_path / "a.wav")
    assert (sample_rate, samples.dtype) == (48000, dtype)
    np.testing.assert_array_equal(samples, original if depth == 32 else to_integers(original, depth))


def test_the_default_depth_is_16(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    for name in ("a.wav", "a.flac"):
        adapter.save(tmp_path / name, sound(100), 44100)
        assert soundfile.info(tmp_path / name).subtype == "PCM_16"


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("sample_rate", [44100, 48000, 22050, 8000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_decoding_gives_the_sound_back_in_place_and_in_full(
    codec: Codec, sample_rate: int, n_channels: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = sound(int(1.7 * sample_rate) + 13, sample_rate, n_channels)
    adapter.save(tmp_path / f"a.{codec}", original, sample_rate, bitrate="160k")
    decoded, rate = adapter.load(tmp_path / f"a.{codec}")
    assert rate == (48000 if codec is Codec.OPUS else sample_rate)
    expected = resampled(original, sample_rate, round(rate))
    assert lag(decoded, expected) == 0
    assert snr(decoded, expected) > 12
    assert decoded.shape[1] == n_channels
    surplus = len(decoded) - len(expected)
    assert 0 <= surplus < WMA_FRAME if codec is Codec.WMA else surplus == 0


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_samples=st.integers(3000, 9000), codec=st.sampled_from(list(Codec)), seed=st.integers(0, 9))
def test_every_length_comes_back(n_samples: int, codec: Codec, seed: int, tmp_path: Path) -> None:
    adapter = PyAVAudioAdapter()
    adapter.save(tmp_path / "a", sound(n_samples, 44100, 1, seed), 44100, codec)
    decoded, rate = adapter.load(tmp_path / "a")
    surplus = len(decoded) - n_resampled(n_samples, 44100, round(rate))
    if codec is Codec.WMA:
        assert 0 <= surplus < WMA_FRAME
    elif codec is Codec.OGG:
        assert surplus in (0, -128)  # FFmpeg may lose the last block of a file of one Ogg page
    else:
        assert surplus == 0


@pytest.mark.parametrize("n_samples", [3959, 4204, 4334, 4575])
def test_short_mp3_files_that_ffmpeg_does_not_recognise_come_back(
    n_samples: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    adapter.save(tmp_path / "a.mp3", sound(n_samples, 44100, 1, 0), 44100)
    assert len(adapter.load(tmp_path / "a.mp3")[0]) == n_samples


@pytest.mark.parametrize("n_samples", [4 * 1152 + n for n in (0, 1, 20, 46, 47, 48, 1105, 1151)])
def test_the_lame_tag_tells_padding_longer_than_a_frame(
    n_samples: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    adapter.save(tmp_path / "a.mp3", sound(n_samples), 44100)
    assert len(adapter.load(tmp_path / "a.mp3")[0]) == n_samples
    assert soundfile.info(tmp_path / "a.mp3").frames == n_samples


@pytest.mark.parametrize("codec", [Codec.MP3, Codec.OGG])
def test_libsndfile_finds_the_lossy_sound_in_the_same_place(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = sound(60_001)
    adapter.save(tmp_path / f"a.{codec}", original, 44100)
    theirs, _ = soundfile.read(tmp_path / f"a.{codec}", dtype="float32")
    assert len(theirs) == len(original)
    assert lag(theirs, original) == 0


@pytest.mark.parametrize("codec", list(Codec))
def test_ffmpeg_finds_the_sound_in_the_same_place(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter, ffmpeg_decode: FfmpegDecode
) -> None:
    original = sound(60_001, 48000)
    adapter.save(tmp_path / f"a.{codec}", original, 48000)
    theirs = ffmpeg_decode(tmp_path / f"a.{codec}", 2)
    assert lag(theirs, original) == 0
    assert 0 <= len(theirs) - len(original) < {Codec.WMA: WMA_FRAME, Codec.M4A: AAC_FRAME}.get(codec, 1)


@pytest.mark.parametrize("codec", list(Codec))
def test_blocks_do_not_matter(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    original = sound(70_000, 44100)
    write(tmp_path / "whole", [original], 44100, Encoding(codec))
    cuts = [0, 1, 2, 1153, 1153, 40_000, 69_999]
    write(tmp_path / "blocks", np.split(original, cuts), 44100, Encoding(codec))
    whole, blocks = (adapter.load(tmp_path / name)[0] for name in ("whole", "blocks"))
    np.testing.assert_array_equal(whole, blocks)


@pytest.mark.parametrize(
    ("codec", "asked", "written"),
    [
        (Codec.MP3, 96000, 48000),
        (Codec.MP3, 8001, 11025),
        (Codec.WMA, 192000, 48000),
        (Codec.M4A, 192000, 96000),
        (Codec.M4A, 50000, 64000),
        (Codec.FLAC, 192000, 192000),
        (Codec.WAV, 12345, 12345),
        (Codec.OGG, 96000, 96000),
        (Codec.OPUS, 44100, 48000),
    ],
)
def test_a_rate_the_codec_cannot_hold_is_resampled_to_the_next_it_can(
    codec: Codec, asked: int, written: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = sound(asked + 7, asked)
    adapter.save(tmp_path / "a", original, asked, codec)
    decoded, rate = adapter.load(tmp_path / "a")
    assert rate == written
    assert lag(decoded, resampled(original, asked, written)) == 0


@pytest.mark.parametrize("codec", LOSSY)
def test_bit_rates_are_obeyed_or_moved_to_the_nearest(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = sound(3 * 44100)
    sizes = []
    for bitrate in ("1000", "64k", "160000", "0.32M", "100M"):
        adapter.save(tmp_path / "a", original, 44100, codec, bitrate)
        sizes.append((tmp_path / "a").stat().st_size)
        assert len(adapter.load(tmp_path / "a")[0])
    assert sizes == sorted(sizes)
    assert sizes[2] * 8 / 3 == pytest.approx(160_000, rel=0.35)


@pytest.mark.parametrize("codec", list(Codec))
def test_too_many_channels_are_refused(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    for n_channels in (0, 100):
        with pytest.raises(EncodeError, match=f"{codec} holds 1 to [0-9]+ channels, not {n_channels}"):
            adapter.create(tmp_path / "a", 44100, n_channels, Encoding(codec))
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("sample_rate", [0, -1, 44100.5, math.nan, math.inf])
def test_rates_that_are_none_are_refused(sample_rate: float, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match=f"sample rate {sample_rate}"):
        adapter.create(tmp_path / "a.wav", sample_rate, 2)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("sample_rate", [1, 7, 10_000_000])
def test_extreme_rates_are_written_or_refused(
    codec: Codec, sample_rate: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    with suppress(EncodeError):
        adapter.save(tmp_path / "a", sound(10), sample_rate, codec)
    assert names_in(tmp_path) in (["a"], [])


def test_samples_beyond_full_scale_are_counted_in_a_warning(
    tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "spleeter"):
        adapter.save(tmp_path / "a.wav", np.array([[1.0, -1.0], [1.5, 0.0], [-2.5, 1.1]]), 44100)
    assert f"{tmp_path / 'a.wav'}: 3 samples beyond full scale" in caplog.text


def test_values_beyond_full_scale_survive_in_float(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    loud = np.array([[3.0, -7.5], [1e6, 0.0]], np.float32)
    write(tmp_path / "a.wav", [loud], 44100, Encoding(Codec.WAV, bit_depth=32))
    np.testing.assert_array_equal(adapter.load(tmp_path / "a.wav")[0], loud)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_and_nothing_left(
    codec: Codec, bad: float, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    waveform = sound(5000)
    waveform[3000, 1] = bad
    with pytest.raises(EncodeError, match="no numbers"):
        adapter.save(tmp_path / f"a.{codec}", waveform, 44100)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("codec", list(Codec))
def test_not_one_sample_is_refused(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="not one sample"):
        adapter.save(tmp_path / f"a.{codec}", np.zeros((0, 2), np.float32), 44100)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("data", [np.zeros(5), np.zeros((2, 3, 4)), np.zeros((5, 2), np.int16)])
def test_what_is_no_waveform_is_refused(data: np.ndarray, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="floats of shape"):
        adapter.save(tmp_path / "a.wav", data, 44100)


def test_blocks_of_another_shape_are_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    writer = adapter.create(tmp_path / "a.wav", 44100, 2)
    for block in (np.zeros((5, 3), np.float32), np.zeros(5, np.float32)):
        with pytest.raises(EncodeError, match="shape"):
            writer.write(block)
    writer.abort()


def test_float64_is_saved_as_float32(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / "a.wav", sound(50).astype(np.float64), 44100)
    assert len(adapter.load(tmp_path / "a.wav")[0]) == 50


@pytest.mark.parametrize("codec", list(Codec))
def test_nothing_is_seen_before_commit_and_nothing_stays_after_abort(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{codec}"
    for n_steps in range(3):
        writer = adapter.create(path, 44100, 2)
        if n_steps > 0:
            writer.write(sound(50_000))
        if n_steps > 1:
            writer.close()
        assert not path.exists()
        writer.abort()
        writer.abort()
        del writer
        assert names_in(tmp_path) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", list(Codec))
def test_an_old_file_is_replaced_whole_or_kept_whole(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    path = tmp_path / f"a.{codec}"
    path.write_bytes(b"old")
    with pytest.raises(EncodeError):
        adapter.save(path, np.full((9, 2), np.nan), 44100)
    assert path.read_bytes() == b"old"
    adapter.save(path, sound(9000), 44100)
    assert len(adapter.load(path)[0]) > 8000
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("n_bytes", [0, 100, 30_000])
def test_a_full_disk_is_an_error_with_the_systems_reason_and_nothing_is_left(
    codec: Codec,
    n_bytes: int,
    tmp_path: Path,
    adapter: PyAVAudioAdapter,
    disk_of: DiskOf,
    capfd: pytest.CaptureFixture[str],
) -> None:
    original = sound(4 * 44100)
    with disk_of(n_bytes), pytest.raises(EncodeError, match=rf"cannot write .*a\.{codec}: File too large") as caught:
        adapter.save(tmp_path / f"a.{codec}", original, 44100, bitrate="192k")
    del caught
    assert names_in(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_a_missing_folder_and_an_unknown_extension_are_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="there is no folder"):
        adapter.save(tmp_path / "no" / "a.wav", sound(5), 44100)
    with pytest.raises(EncodeError, match=r"names no codec; use one of \.wav"):
        adapter.save(tmp_path / "a.xyz", sound(5), 44100)
    with pytest.raises(EncodeError, match="unknown codec 'xyz'"):
        adapter.save(tmp_path / "a.wav", sound(5), 44100, "xyz")  # type: ignore[arg-type]


TAGS = {
    "title": "Tïtle ♫",
    "artist": "Ärtist",
    "album": "Album",
    "date": "2020",
    "track": "3/9",
    "genre": "Rock",
    "comment": "two\nlines",
    "copyright": "(c)",
}
MORE = {"album_artist": "AA", "composer": "C", "disc": "1/2", "lyrics": "la"}


@pytest.mark.parametrize("codec", list(Codec))
def test_tags_come_back(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    few = codec in (Codec.WAV, Codec.OGG)
    write(tmp_path / "a", [sound(5000)], 44100, Encoding(codec), metadata=AudioMetadata({**TAGS, **MORE}))
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata.tags == (TAGS if few else {**TAGS, **MORE})


@pytest.mark.parametrize("codec", [Codec.MP3, Codec.M4A, Codec.FLAC, Codec.OPUS])
@pytest.mark.parametrize("kind", ["png", "mjpeg"])
def test_covers_come_back_and_the_sound_with_them(
    codec: Codec, kind: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    cover, original = picture(kind), sound(20_000, 48000)
    write(tmp_path / "a", [original], 48000, Encoding(codec), metadata=AudioMetadata({"title": "t"}, cover))
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata == AudioMetadata({"title": "t"}, cover)
        decoded = np.concatenate(list(reader.blocks()))
    assert len(decoded) == len(original)
    assert lag(decoded, original) == 0


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("cover", [b"", b"GIF89a", b"rubbish", b"\x89PNG\r\n\x1a\n"])
def test_odd_covers_and_tags_do_no_harm(
    codec: Codec, cover: bytes, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    odd = AudioMetadata({"title": "\udcff\0x", "": "y", "a=b": "z", "long": "x" * 70_000}, cover)
    write(tmp_path / "a", [sound(30_000)], 44100, Encoding(codec), metadata=odd)
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata.cover is None
        assert sum(map(len, reader.blocks())) >= 30_000


def test_wav_files_may_grow_beyond_4_gib(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", [sound(100)], 44100, Encoding())
    head = (tmp_path / "a.wav").read_bytes()[:48]
    assert head[:4] == b"RIFF"
    assert head[12:16] == b"JUNK"  # room for RF64's sizes, should they be needed


def test_m4a_files_say_what_they_are(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / "a.m4a", sound(5000), 44100)
    with av.open(str(tmp_path / "a.m4a")) as container:
        assert container.metadata["major_brand"] == "M4A "


def test_writing_is_quiet(
    tmp_path: Path,
    adapter: PyAVAudioAdapter,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        for codec in Codec:
            adapter.save(tmp_path / f"a.{codec}", sound(5000), 44100)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


AAC_FRAME = 1024
"""An older ffmpeg plays an m4a's last frame to its end, beyond what the edit list says."""
