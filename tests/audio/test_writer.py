"""Laws of writing: what is written comes back, in place, in full, or not at all."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import wavfile
from scipy.signal import resample_poly

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import n_resampled
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DecodeError, EncodeError
from spleeter.types import Waveform
from tests.audio.conftest import FfmpegDecode
from tests.audio.pictures import picture
from tests.audio.signals import lag, snr, synthetic
from tests.utils.disks import disk_of

LOSSLESS = [(codec, depth) for codec in Codec for depth in codec.spec.bit_depths]
LOSSY = [codec for codec in Codec if codec.spec.is_lossy]
WMA_FRAME = 2048


def write(path: Path, blocks: list[Waveform], sample_rate: float, encoding: Encoding, **more: object) -> None:
    writer = PyAVAudioAdapter().create(path, sample_rate, blocks[0].shape[1], encoding, **more)  # type: ignore[arg-type]
    for block in blocks:
        writer.write(block)
    writer.close()
    writer.commit()


def resampled(waveform: Waveform, from_rate: int, to_rate: int) -> Waveform:
    """A waveform resampled by SciPy's polyphase filter, as long as ours."""
    divisor = math.gcd(from_rate, to_rate)
    n_samples = n_resampled(len(waveform), from_rate, to_rate)
    theirs = resample_poly(waveform.astype(np.float64), to_rate // divisor, from_rate // divisor)[:n_samples]
    return np.asarray(theirs, np.float32)


def rounded(waveform: Waveform, bits: int) -> Waveform:
    """A waveform rounded to integers of a size, and clamped, in float64."""
    full_scale = 2.0 ** (bits - 1)
    return np.asarray(np.clip(np.rint(waveform * full_scale), -full_scale, full_scale - 1) / full_scale, np.float32)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("codec", "depth"), LOSSLESS)
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_lossless_files_hold_the_rounded_samples(
    codec: Codec, depth: int, n_channels: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = 6 * synthetic(10_007, n_channels=n_channels)  # beyond full scale here and there
    assert np.abs(original).max() > 1
    write(tmp_path / "a", [original], 44100, Encoding(codec, bit_depth=depth))
    expected = original if depth == 32 else rounded(original, depth)
    for waveform, sample_rate in (
        adapter.load(tmp_path / "a"),
        soundfile.read(tmp_path / "a", dtype="float32", always_2d=True),
    ):
        assert sample_rate == 44100
        np.testing.assert_array_equal(waveform, expected)
    assert soundfile.info(tmp_path / "a").subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[depth]


@pytest.mark.parametrize(("depth", "dtype"), [(16, np.int16), (32, np.float32)])
def test_scipy_reads_our_wav_files(depth: int, dtype: type, tmp_path: Path) -> None:
    original = synthetic(1000)
    write(tmp_path / "a.wav", [original], 48000, Encoding(Codec.WAV, bit_depth=depth))
    sample_rate, samples = wavfile.read(tmp_path / "a.wav")
    assert (sample_rate, samples.dtype) == (48000, dtype)
    np.testing.assert_array_equal(samples, original if depth == 32 else 32768 * rounded(original, depth))


def test_the_default_depth_is_16(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    for name in ("a.wav", "a.flac"):
        adapter.save(tmp_path / name, synthetic(100), 44100)
        assert soundfile.info(tmp_path / name).subtype == "PCM_16"


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("sample_rate", [44100, 48000, 22050, 8000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_decoding_gives_the_waveform_back_in_place_and_in_full(
    codec: Codec, sample_rate: int, n_channels: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = synthetic(int(1.7 * sample_rate) + 13, sample_rate, n_channels)
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
    adapter.save(tmp_path / "a", synthetic(n_samples, 44100, 1, seed), 44100, codec)
    decoded, rate = adapter.load(tmp_path / "a")
    surplus = len(decoded) - n_resampled(n_samples, 44100, round(rate))
    if codec is Codec.WMA:
        assert 0 <= surplus < WMA_FRAME
    else:
        assert surplus == 0


@pytest.mark.parametrize("n_samples", [3959, 4204, 4334, 4575])
def test_short_mp3_files_that_ffmpeg_does_not_recognise_come_back(
    n_samples: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    adapter.save(tmp_path / "a.mp3", synthetic(n_samples, 44100, 1, 0), 44100)
    assert len(adapter.load(tmp_path / "a.mp3")[0]) == n_samples


@pytest.mark.parametrize("n_samples", [4 * 1152 + n for n in (0, 1, 20, 46, 47, 48, 1105, 1151)])
def test_the_lame_tag_has_padding_longer_than_a_frame(
    n_samples: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    adapter.save(tmp_path / "a.mp3", synthetic(n_samples), 44100)
    assert len(adapter.load(tmp_path / "a.mp3")[0]) == n_samples
    assert soundfile.info(tmp_path / "a.mp3").frames == n_samples


@pytest.mark.parametrize("codec", [Codec.MP3, Codec.OGG])
def test_libsndfile_decodes_the_waveform_in_the_same_place(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    original = synthetic(60_001)
    adapter.save(tmp_path / f"a.{codec}", original, 44100)
    theirs, _ = soundfile.read(tmp_path / f"a.{codec}", dtype="float32")
    assert len(theirs) == len(original)
    assert lag(theirs, original) == 0


@pytest.mark.parametrize("codec", list(Codec))
def test_ffmpeg_decodes_the_waveform_in_the_same_place(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter, ffmpeg_decode: FfmpegDecode
) -> None:
    original = synthetic(60_001, 48000)
    adapter.save(tmp_path / f"a.{codec}", original, 48000)
    theirs = ffmpeg_decode(tmp_path / f"a.{codec}", 2)
    assert lag(theirs, original) == 0
    assert 0 <= len(theirs) - len(original) < {Codec.WMA: WMA_FRAME, Codec.M4A: AAC_FRAME}.get(codec, 1)


@pytest.mark.parametrize("codec", list(Codec))
def test_blocks_do_not_matter(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    original = synthetic(70_000, 44100)
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
    original = synthetic(asked + 7, asked)
    adapter.save(tmp_path / "a", original, asked, codec)
    decoded, rate = adapter.load(tmp_path / "a")
    assert rate == written
    assert lag(decoded, resampled(original, asked, written)) == 0


@pytest.mark.parametrize("codec", LOSSY)
def test_bit_rates_are_obeyed(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    original = synthetic(3 * 44100)
    sizes = []
    for bitrate in ("64k", 96_000, "160000", np.int64(192_000), "0.256M"):
        adapter.save(tmp_path / "a", original, 44100, codec, bitrate)  # type: ignore[arg-type]
        sizes.append((tmp_path / "a").stat().st_size)
        assert len(adapter.load(tmp_path / "a")[0])
    assert sizes == sorted(sizes)
    assert sizes[2] * 8 / 3 == pytest.approx(160_000, rel=0.35)
    adapter.save(tmp_path / "a", original, 44100, codec)
    assert (tmp_path / "a").stat().st_size == sizes[-1], "256 kbit/s is the default"


@pytest.mark.parametrize("codec", LOSSY)
@pytest.mark.parametrize("bitrate", ["1000", "999k", "100M"])
def test_bit_rates_that_a_codec_never_has_are_refused_with_those_it_has(codec: Codec, bitrate: str) -> None:
    with pytest.raises(EncodeError, match=rf"{codec} has bit rates from \d+k to \d+k, not '{bitrate}'"):
        Encoding(codec, bitrate)


def test_a_bit_rate_that_a_sample_rate_rules_out_is_told(
    tmp_path: Path, adapter: PyAVAudioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    adapter.save(tmp_path / "a.mp3", synthetic(16_000, 16_000), 16_000)
    assert not caplog.records, "of a default nothing is told"
    adapter.save(tmp_path / "a.mp3", synthetic(16_000, 16_000), 16_000, bitrate="320k")
    assert "mp3 with 16000 Hz and 2 channels cannot have 320 kbit/s; 160 kbit/s are written" in caplog.text


@pytest.mark.parametrize("codec", list(Codec))
def test_too_many_channels_are_refused(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    for n_channels in (0, 100):
        with pytest.raises(EncodeError, match=f"{codec} holds 1 to [0-9]+ channels, not {n_channels}"):
            adapter.create(tmp_path / "a", 44100, n_channels, Encoding(codec))
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("sample_rate", [0, -1, 44100.5, math.nan, math.inf])
def test_impossible_rates_are_refused(sample_rate: float, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match=f"sample rate {sample_rate}"):
        adapter.create(tmp_path / "a.wav", sample_rate, 2)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("sample_rate", [1_000, 1_001, 1_000_000])
def test_extreme_rates_are_written_or_refused(
    codec: Codec, sample_rate: int, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    try:
        adapter.save(tmp_path / "a", synthetic(max(10, sample_rate // 200)), sample_rate, codec)
    except EncodeError as error:
        message = str(error)
        assert names_in(tmp_path) == []
    else:
        message = ""
        rate = codec.spec.sample_rate_for(sample_rate)
        if 1_000 <= rate <= 1_000_000:
            assert adapter.load(tmp_path / "a")[1] == rate
        else:
            with pytest.raises(DecodeError, match="1000 to 1000000 Hz are read"):
                adapter.load(tmp_path / "a")
    assert not message or re.search("encoder cannot do|encoder failed", message)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_and_nothing_is_left(
    codec: Codec, bad: float, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    waveform = synthetic(5000)
    waveform[3000, 1] = bad
    with pytest.raises(EncodeError, match="NaN or infinite"):
        adapter.save(tmp_path / f"a.{codec}", waveform, 44100)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("codec", list(Codec))
def test_not_one_sample_is_refused(codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="not one sample"):
        adapter.save(tmp_path / f"a.{codec}", np.zeros((0, 2), np.float32), 44100)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("data", [np.zeros(5), np.zeros((2, 3, 4)), np.zeros((5, 2), np.int16)])
def test_an_array_that_is_no_waveform_is_refused(data: np.ndarray, tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="floats of shape"):
        adapter.save(tmp_path / "a.wav", data, 44100)


def test_blocks_of_another_shape_are_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    writer = adapter.create(tmp_path / "a.wav", 44100, 2)
    for block in (np.zeros((5, 3), np.float32), np.zeros(5, np.float32)):
        with pytest.raises(EncodeError, match="shape"):
            writer.write(block)
    writer.abort()


def test_float64_is_saved_as_float32(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / "a.wav", synthetic(50).astype(np.float64), 44100)
    assert len(adapter.load(tmp_path / "a.wav")[0]) == 50


@pytest.mark.parametrize("codec", list(Codec))
def test_nothing_is_seen_before_commit_and_nothing_stays_after_abort(
    codec: Codec, tmp_path: Path, adapter: PyAVAudioAdapter, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{codec}"
    for n_steps in range(3):
        writer = adapter.create(path, 44100, 2)
        if n_steps > 0:
            writer.write(synthetic(50_000))
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
    with pytest.raises(EncodeError, match="NaN or infinite"):
        adapter.save(path, np.full((9, 2), np.nan), 44100)
    assert path.read_bytes() == b"old"
    adapter.save(path, synthetic(9000), 44100)
    assert len(adapter.load(path)[0]) > 8000
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("n_bytes", [0, 100, 30_000])
def test_a_full_disk_is_an_error_with_the_systems_reason_and_nothing_is_left(
    codec: Codec,
    n_bytes: int,
    tmp_path: Path,
    adapter: PyAVAudioAdapter,
    capfd: pytest.CaptureFixture[str],
) -> None:
    original = synthetic(4 * 44100)
    with disk_of(n_bytes), pytest.raises(EncodeError, match=rf"cannot write .*a\.{codec}: File too large") as caught:
        adapter.save(tmp_path / f"a.{codec}", original, 44100, bitrate="192k")
    del caught
    assert names_in(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_a_missing_folder_and_an_unknown_extension_are_refused(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    with pytest.raises(EncodeError, match="there is no folder"):
        adapter.save(tmp_path / "no" / "a.wav", synthetic(5), 44100)
    with pytest.raises(EncodeError, match=r"names no codec; use one of \.wav"):
        adapter.save(tmp_path / "a.xyz", synthetic(5), 44100)
    with pytest.raises(EncodeError, match="unknown codec 'xyz'"):
        adapter.save(tmp_path / "a.wav", synthetic(5), 44100, "xyz")  # type: ignore[arg-type]


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
    write(tmp_path / "a", [synthetic(5000)], 44100, Encoding(codec), metadata=AudioMetadata({**TAGS, **MORE}))
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata.tags == {**TAGS, **MORE}


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("kind", ["png", "mjpeg"])
def test_covers_come_back_and_the_waveform_with_them(
    codec: Codec, kind: str, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    cover, original = picture(kind), synthetic(20_000, 48000)
    write(tmp_path / "a", [original], 48000, Encoding(codec), metadata=AudioMetadata({"title": "t"}, cover))
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata == AudioMetadata({"title": "t"}, cover)
        decoded = np.concatenate(list(reader.blocks()))
    assert 0 <= len(decoded) - len(original) < (WMA_FRAME if codec is Codec.WMA else 1)
    assert lag(decoded, original) == 0


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("cover", [b"", b"GIF89a", b"rubbish", b"\x89PNG\r\n\x1a\n"])
def test_odd_covers_and_tags_do_no_harm(
    codec: Codec, cover: bytes, tmp_path: Path, adapter: PyAVAudioAdapter
) -> None:
    odd = AudioMetadata({"title": "\udcff\0x", "": "y", "a=b": "z", "long": "x" * 70_000}, cover)
    write(tmp_path / "a", [synthetic(30_000)], 44100, Encoding(codec), metadata=odd)
    with adapter.open(tmp_path / "a") as reader:
        assert reader.metadata.cover is None
        assert sum(map(len, reader.blocks())) >= 30_000


def test_wav_files_may_grow_beyond_4_gib(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", [synthetic(100)], 44100, Encoding())
    head = (tmp_path / "a.wav").read_bytes()[:80]
    assert head[:4] == b"RIFF"
    assert b"JUNK\x1c" in head  # room for RF64's sizes, should they be needed


def test_m4a_files_have_their_brand(tmp_path: Path, adapter: PyAVAudioAdapter) -> None:
    adapter.save(tmp_path / "a.m4a", synthetic(5000), 44100)
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
            adapter.save(tmp_path / f"a.{codec}", synthetic(5000), 44100)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


AAC_FRAME = 1024
"""An older ffmpeg plays an m4a's last frame to its end, beyond what the edit list says."""
