"""`Separator`: what callers of the original rely on, and what is new."""

from __future__ import annotations

import inspect
import io
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
import soxr
import torch

from spleeter.audio.adapter import AudioAdapter, AudioMetadata, AudioReader, AudioWriter
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import n_resampled
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.backends.base import Precision
from spleeter.backends.torch import TorchBackend
from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.errors import (
    AudioError,
    ConfigurationError,
    DecodeError,
    DeviceError,
    EncodeError,
    OutputError,
    SpleeterError,
)
from spleeter.model.functions import build
from spleeter.pipeline.options import Input, Output, Quality, QualityName
from spleeter.pipeline.paths import PLOT
from spleeter.separator import Separator
from spleeter.types import FileTarget, Signal, Waveform
from tests.conftest import TINY, synthetic_music

INSTRUMENTS = ("vocals", "drums", "other")

FLOAT = Output(bit_depth=32, clip="none")
"""Files that hold the very samples."""


@pytest.fixture(scope="module")
def separator(tiny_model: Path) -> Separator:
    return Separator(str(tiny_model))


def written(folder: Path, name: str = "song") -> dict[str, Waveform]:
    return {path.stem: soundfile.read(path, dtype="float32", always_2d=True)[0] for path in (folder / name).iterdir()}


# --- as the original's own tests use it -------------------------------------------------------------------------


def test_signatures_are_the_originals() -> None:
    assert list(inspect.signature(Separator).parameters)[:3] == ["params_descriptor", "MWF", "multiprocess"]
    to_file = inspect.signature(Separator.separate_to_file).parameters
    assert list(to_file)[1:10] == [
        "audio_descriptor", "destination", "audio_adapter", "offset", "duration", "codec", "bitrate",
        "filename_format", "synchronous",
    ]  # fmt: skip
    assert to_file["codec"].default == "wav"
    assert to_file["bitrate"].default == "128k"
    assert to_file["filename_format"].default == "{filename}/{instrument}.{codec}"
    assert to_file["synchronous"].default is True
    save = inspect.signature(Separator.save_to_file).parameters
    assert list(save)[1:] == [
        "sources", "audio_descriptor", "destination", "filename_format", "codec", "audio_adapter", "bitrate",
        "synchronous",
    ]  # fmt: skip
    assert list(inspect.signature(Separator.separate).parameters)[1:3] == ["waveform", "audio_descriptor"]
    assert inspect.signature(Separator.join).parameters["timeout"].default == 200


@pytest.mark.parametrize("multiprocess", [True, False])
def test_separate_gives_every_stem_as_long_as_the_song(tiny_model: Path, song: Path, multiprocess: bool) -> None:
    separator = Separator(str(tiny_model), multiprocess=multiprocess)
    waveform, _ = AudioAdapter.default().load(song)
    prediction = separator.separate(waveform, str(song))
    assert tuple(prediction) == INSTRUMENTS
    for stem in prediction.values():
        assert stem.shape == (len(waveform), 2)
        assert stem.dtype == np.float32


def test_separate_to_file_writes_every_stem(separator: Separator, song: Path, tmp_path: Path) -> None:
    separator.separate_to_file(str(song), str(tmp_path))
    for instrument in INSTRUMENTS:
        assert (tmp_path / "song" / f"{instrument}.wav").exists()


def test_filename_format(separator: Separator, song: Path, tmp_path: Path) -> None:
    separator.separate_to_file(
        str(song), str(tmp_path), filename_format="export/{foldername}/{filename}/{instrument}.{codec}"
    )
    assert (tmp_path / "export" / tmp_path.name / "song" / "drums.wav").exists()


def test_filename_conflict(separator: Separator, song: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"several stems one path.*put \{instrument\} into it"):
        separator.separate_to_file(str(song), str(tmp_path), filename_format="I wanna be your lover")


@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("multiprocess", [True, False])
def test_save_to_file(
    tiny_model: Path, tmp_path: Path, music: Waveform, multiprocess: bool, synchronous: bool
) -> None:
    separator = Separator(str(tiny_model), multiprocess=multiprocess)
    sources = {"left": music * 0.5, "right": -music}
    separator.save_to_file(sources, "x/song.mp3", str(tmp_path), codec=Codec.FLAC, synchronous=synchronous)
    separator.join()
    for name, stem in written(tmp_path).items():
        np.testing.assert_allclose(stem, sources[name], atol=0.5 / 32768 + 1e-7)


def test_errors_of_the_worker_threads_come_out_of_join(tiny_model: Path, tmp_path: Path, music: Waveform) -> None:
    separator = Separator(str(tiny_model))
    (tmp_path / "song").write_text("a file where a folder is needed")
    separator.save_to_file({"a": music}, "song.mp3", tmp_path, synchronous=False)
    with pytest.raises(OutputError, match="cannot make the output folder"):
        separator.join()


# --- arrays -----------------------------------------------------------------------------------------------------


def test_mono_is_two_equal_channels(separator: Separator, music: Waveform) -> None:
    mono = separator.separate(music[:, :1])
    stereo = separator.separate(np.repeat(music[:, :1], 2, axis=1))
    for name in INSTRUMENTS:
        np.testing.assert_array_equal(mono[name], stereo[name])


def test_of_many_channels_the_first_two_are_taken(separator: Separator, music: Waveform) -> None:
    many = separator.separate(np.concatenate([music, music, music], axis=1))
    for name, stem in separator.separate(music).items():
        np.testing.assert_array_equal(many[name], stem)


@pytest.mark.parametrize("n_samples", [0, 1])
def test_hardly_anything_is_separated_too(separator: Separator, n_samples: int) -> None:
    for stem in separator.separate(np.zeros((n_samples, 2), np.float32)).values():
        assert stem.shape == (n_samples, 2)
        assert not stem.any()


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
def test_stems_sum_to_the_mixture(tiny_model: Path, music: Waveform, quality: QualityName) -> None:
    separator = Separator(str(tiny_model), quality=quality)
    np.testing.assert_allclose(sum(separator.separate(music).values()), music, atol=1e-7)


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
def test_stems_of_16_bits_sum_to_a_song_of_16_bits_to_the_bit(
    tiny_model: Path, song: Path, tmp_path: Path, quality: QualityName
) -> None:
    Separator(str(tiny_model), quality=quality).separate_to_file(song, tmp_path / "out")
    stems = [soundfile.read(path, dtype="int16")[0].astype(int) for path in (tmp_path / "out" / "song").iterdir()]
    assert len(stems) == 3
    np.testing.assert_array_equal(np.sum(stems, axis=0), soundfile.read(song, dtype="int16")[0])


def test_exact_is_the_configuration_as_it_is(tiny_model: Path, music: Waveform) -> None:
    """Without overlap and filter; and it is not what comes out by default."""
    exact, fast, usual = (
        Separator(str(tiny_model), exact=True),
        Separator(str(tiny_model), quality=Quality()),
        Separator(str(tiny_model)),
    )
    assert exact.quality == Quality()
    assert usual.quality == Quality.preset("balanced")
    for name, stem in exact.separate(music).items():
        np.testing.assert_array_equal(stem, fast.separate(music)[name])
        assert np.abs(stem - usual.separate(music)[name]).max() > 1e-4


@pytest.mark.parametrize("other", [{"quality": "fast"}, {"bandwidth": "full"}, {"precision": "bfloat16"}])
def test_exact_goes_alone(tiny_model: Path, other: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"leave out quality \(overlap, shifts\), bandwidth and precision"):
        Separator(str(tiny_model), exact=True, **other)


@pytest.mark.parametrize(("MWF", "quality", "expected"), [(True, "fast", True), (False, "fast", False)])
def test_the_filter_can_be_added_to_a_quality(
    tiny_model: Path, MWF: bool, quality: QualityName, expected: bool
) -> None:
    assert Separator(str(tiny_model), MWF=MWF, quality=quality).quality.mwf is expected


def test_a_bandwidth_cuts_off_what_is_above(tiny_model: Path, music: Waveform) -> None:
    separator = Separator(str(tiny_model), bandwidth="11k")
    assert separator.configuration.F == 256
    for stem in separator.separate(music).values():
        spectrum = np.abs(np.fft.rfft(stem[:, 0]))
        edge = round(11_025 / 44_100 * len(stem))
        assert spectrum[edge + len(stem) // 100 :].max() < 1e-3 * spectrum.max()


def test_the_plot_lies_beside_the_stems_or_no_file_appears(separator: Separator, song: Path, tmp_path: Path) -> None:
    paths = separator.separate_to_file(song, tmp_path / "out", output=Output(plot=True))
    folder = tmp_path / "out" / "song"
    assert paths == {**{name: folder / f"{name}.wav" for name in INSTRUMENTS}, PLOT: folder / "spectrograms.png"}
    assert (folder / "spectrograms.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "taken" / "song" / "spectrograms.png").mkdir(parents=True)
    with pytest.raises(SpleeterError, match=r"spectrograms.png: it exists and is not a file"):
        separator.separate_to_file(song, tmp_path / "taken", output=Output(plot=True))
    assert [path.name for path in (tmp_path / "taken" / "song").iterdir()] == ["spectrograms.png"]


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(100, np.float32), r"axes \(samples, channels\)"),
        (np.zeros((2, 100, 1), np.float32), r"axes \(samples, channels\)"),
        (np.zeros((100, 0), np.float32), r"axes \(samples, channels\)"),
        (np.zeros((2, 5000), np.float32), "transposed"),
        (np.zeros((100, 2), np.int16), "int16"),
        (np.full((100, 2), np.nan, np.float32), "NaN"),
        (np.full((100, 2), np.inf, np.float64), "NaN or infinite"),
    ],
)
def test_what_is_no_waveform_is_refused(separator: Separator, waveform: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        separator.separate(waveform)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_stream_of_blocks_is_taken_like_a_waveform(separator: Separator, music: Waveform, channels: int) -> None:
    waveform = np.tile(music, (1, 3))[:, :channels].astype(np.float64)
    waveform.flags.writeable = False
    pieces = list(separator.separate_blocks(np.array_split(waveform, 7)))
    for name, stem in separator.separate(waveform).items():
        np.testing.assert_array_equal(np.concatenate([stems[name] for _, stems in pieces]), stem)
    with pytest.raises(AudioError, match="int16"):
        list(separator.separate_blocks([np.zeros((100, 2), np.int16)]))


def test_progress_is_reported_to_the_end(separator: Separator) -> None:
    calls: list[tuple[int, int | None]] = []
    waveform = synthetic_music(5 * 44100)
    separator.separate(waveform, progress=lambda done, total: calls.append((done, total)))
    assert len(calls) > 3
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (len(waveform), len(waveform))


# --- files ------------------------------------------------------------------------------------------------------


def test_files_hold_what_the_arrays_do(separator: Separator, song: Path, tmp_path: Path) -> None:
    waveform, _ = AudioAdapter.default().load(song)
    expected = separator.separate(waveform)
    paths = separator.separate_to_file(song, tmp_path / "out", output=FLOAT)
    assert paths == {name: tmp_path / "out" / "song" / f"{name}.wav" for name in INSTRUMENTS}
    for name, stem in written(tmp_path / "out").items():
        np.testing.assert_array_equal(stem, expected[name])


def test_offset_and_duration(separator: Separator, song: Path, tmp_path: Path) -> None:
    waveform, _ = AudioAdapter.default().load(song)
    expected = separator.separate(waveform[22050 : 22050 + 44100])
    separator.separate_to_file(song, tmp_path / "out", offset=0.5, duration=1.0, output=FLOAT)
    for name, stem in written(tmp_path / "out").items():
        np.testing.assert_array_equal(stem, expected[name])


def test_selected_outputs(separator: Separator, song: Path, tmp_path: Path) -> None:
    waveform, _ = AudioAdapter.default().load(song)
    stems = separator.separate(waveform)
    output = Output(["vocals"], {"karaoke": ["drums", "other"]}, bit_depth=32, clip="none")
    separator.separate_to_file(song, tmp_path / "out", output=output)
    outputs = written(tmp_path / "out")
    assert set(outputs) == {"vocals", "karaoke"}
    np.testing.assert_allclose(outputs["karaoke"], stems["drums"] + stems["other"], atol=1e-6)


def test_the_residual_completes_the_song(separator: Separator, song: Path, tmp_path: Path) -> None:
    waveform, _ = AudioAdapter.default().load(song)
    output = Output(["drums"], residual="rest", bit_depth=32, clip="none")
    separator.separate_to_file(song, tmp_path / "out", output=output)
    outputs = written(tmp_path / "out")
    np.testing.assert_allclose(outputs["drums"] + outputs["rest"], waveform, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 32000, 48000, 96000, 192000])
def test_the_songs_own_sample_rate_is_kept_on_request(separator: Separator, tmp_path: Path, sample_rate: int) -> None:
    n_samples = 2 * sample_rate + 11
    mixture = synthetic_music(n_samples, sample_rate)
    soundfile.write(tmp_path / "song.wav", mixture, sample_rate, subtype="FLOAT")
    at_own_rate = Output(keep_sample_rate=True, bit_depth=32)
    separator.separate_to_file(tmp_path / "song.wav", tmp_path / "own", output=at_own_rate)
    separator.separate_to_file(tmp_path / "song.wav", tmp_path / "models", output=Output(bit_depth=32))
    info = soundfile.info(tmp_path / "own" / "song" / "vocals.wav")
    assert (info.samplerate, info.frames) == (sample_rate, n_samples)
    assert soundfile.info(tmp_path / "models" / "song" / "vocals.wav").samplerate == 44100
    if sample_rate < 44100:  # then resampling to the model's rate and back loses next to nothing of the mixture
        total = np.stack(list(written(tmp_path / "own").values())).sum(axis=0)
        inner = slice(sample_rate // 10, -sample_rate // 10)
        error = np.mean((total[inner] - mixture[inner]) ** 2) / np.mean(mixture[inner] ** 2)
        assert 10 * np.log10(error) < -25  # the clicks and the noise reach up to the band's very edge


class SlowReader(AudioReader):
    """Notes whether it is closed while it is being read."""

    sample_rate = source_sample_rate = 44100
    n_channels, n_samples = 2, None
    metadata = AudioMetadata()
    reading = closed_while_reading = False

    def blocks(self) -> Iterator[Waveform]:
        while True:
            self.reading = True
            time.sleep(0.05)
            self.reading = False
            yield np.zeros((44100, 2), np.float32)

    def close(self) -> None:
        self.closed_while_reading |= self.reading


def test_an_interruption_stops_the_threads_before_the_file_is_closed(separator: Separator, tmp_path: Path) -> None:
    reader = SlowReader()

    class SlowAdapter(PyAVAudioAdapter):
        def open(self, *arguments: object) -> AudioReader:
            return reader

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    separator.separate(synthetic_music(44100))  # starts the threads that are kept
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        separator.separate_to_file("endless.wav", tmp_path / "out", SlowAdapter(), progress=interrupt)
    assert not reader.closed_while_reading
    assert threading.active_count() <= before  # others may end meanwhile
    assert not (tmp_path / "out").exists()


def test_progress_of_files_is_reported_in_the_callers_thread(
    separator: Separator, song: Path, tmp_path: Path
) -> None:
    threads: set[threading.Thread] = set()
    separator.separate_to_file(song, tmp_path, progress=lambda done, total: threads.add(threading.current_thread()))
    assert threads == {threading.current_thread()}


def test_songs_saved_at_once_into_one_new_folder(tiny_model: Path, tmp_path: Path, music: Waveform) -> None:
    separator = Separator(str(tiny_model))
    for round_ in range(20):
        for number in range(8):
            folder = tmp_path / f"{round_}" / "deep"
            separator.save_to_file({"a": music[:100]}, f"{number}.mp3", folder, synchronous=False)
    separator.join()
    assert len(list(tmp_path.rglob("a.wav"))) == 160


def test_a_join_that_ran_out_of_time_can_be_repeated(tiny_model: Path, tmp_path: Path, music: Waveform) -> None:
    may_save = threading.Event()

    class LateAdapter(PyAVAudioAdapter):
        def create(self, *arguments: Any, **keywords: Any) -> AudioWriter:
            may_save.wait(30)
            return super().create(*arguments, **keywords)

    separator, adapter = Separator(str(tiny_model)), LateAdapter()
    separator.save_to_file({"a": music}, "song.mp3", tmp_path, audio_adapter=adapter, synchronous=False)
    with pytest.raises(SpleeterError, match=r"after 0\.01 seconds; join again"):
        separator.join(0.01)
    may_save.set()
    separator.join()
    assert (tmp_path / "song" / "a.wav").exists()


def test_a_song_is_never_replaced_by_its_stem(tiny_model: Path, song: Path, music: Waveform) -> None:
    content, separator = song.read_bytes(), Separator(str(tiny_model))
    one = Output(stems=["vocals"], filename_format="{filename}.{codec}")
    with pytest.raises(OutputError, match=r"song\.wav is the song itself"):
        separator.separate_to_file(song, song.parent, output=one)
    with pytest.raises(OutputError, match=r"song\.wav is the song itself"):
        separator.save_to_file({"vocals": music}, song, song.parent, one.filename_format)
    assert {path.name: path.read_bytes() for path in song.parent.iterdir()} == {"song.wav": content}


def test_a_failing_song_leaves_nothing(separator: Separator, tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_text("this is no music")
    with pytest.raises(DecodeError, match=r"song\.mp3"):
        separator.separate_to_file(tmp_path / "song.mp3", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["song.mp3"]


def test_an_interruption_leaves_nothing(separator: Separator, song: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        separator.separate_to_file(song, tmp_path / "out", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


class ArrayAdapter(AudioAdapter):
    """A user's adapter that only knows whole arrays, kept in memory, at the sample rate they have."""

    def __init__(self, waveform: Waveform, sample_rate: int = 44100) -> None:
        self.waveform = waveform
        self.sample_rate = sample_rate
        self.saved: dict[str, np.ndarray] = {}

    def load(
        self,
        audio_descriptor: object,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        return self.waveform, self.sample_rate

    def save(
        self,
        path: Any,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        self.saved[Path(path).stem] = data


def test_a_users_own_adapter(separator: Separator, tmp_path: Path, music: Waveform) -> None:
    adapter = ArrayAdapter(music)
    separator.separate_to_file("database://17", tmp_path, adapter)
    expected = separator.separate(music)
    assert set(adapter.saved) == set(INSTRUMENTS)
    for name, stem in adapter.saved.items():
        np.testing.assert_array_equal(stem, np.clip(expected[name], -1, 1))


def test_a_users_adapter_that_knows_only_its_own_sample_rate(
    separator: Separator, tmp_path: Path, music: Waveform
) -> None:
    adapter = ArrayAdapter(music, 22050)
    separator.separate_to_file("database://17", tmp_path, adapter)
    assert {len(stem) for stem in adapter.saved.values()} == {2 * len(music)}
    separator.separate_to_file("database://17", tmp_path, adapter, output=Output(keep_sample_rate=True))
    assert {len(stem) for stem in adapter.saved.values()} == {len(music)}


def test_a_users_adapter_that_gives_no_numbers(separator: Separator, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"database://17: .*NaN"):
        separator.separate_to_file("database://17", tmp_path, ArrayAdapter(np.full((100, 2), np.nan, np.float32)))


# --- output options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argument", [{"codec": "mp3"}, {"bitrate": "64k"}, {"filename_format": "{instrument}.wav"}], ids=str
)
def test_output_goes_without_the_originals_arguments(
    separator: Separator, song: Path, tmp_path: Path, argument: dict[str, str]
) -> None:
    with pytest.raises(OutputError, match="codec, bitrate and filename_format are part of `output`"):
        separator.separate_to_file(song, tmp_path / "out", output=Output(), **argument)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("sample_rate", "mono"), [(16_000, True), (16_000, False), (None, True), (48_000, True)])
def test_stems_at_another_sample_rate_and_in_mono(
    separator: Separator, song: Path, tmp_path: Path, sample_rate: int | None, mono: bool
) -> None:
    chosen = Output(sample_rate=sample_rate, mono=mono, bit_depth=32, clip="none")
    separator.separate_to_file(song, tmp_path / "chosen", output=chosen)
    separator.separate_to_file(song, tmp_path / "plain", output=FLOAT)
    plain, outputs = written(tmp_path / "plain"), written(tmp_path / "chosen")
    info = soundfile.info(tmp_path / "chosen" / "song" / "vocals.wav")
    rate = sample_rate or 44_100
    assert (info.samplerate, info.channels) == (rate, 1 if mono else 2)
    assert info.frames == n_resampled(len(plain["vocals"]), 44_100, rate)
    for name, stem in plain.items():
        expected = stem.mean(axis=1, keepdims=True) if mono else stem
        if sample_rate is not None:
            expected = soxr.resample(expected, 44_100, rate, quality="VHQ")[: info.frames]
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def test_mono_stems_of_16_bits_still_sum_to_the_song(separator: Separator, song: Path, tmp_path: Path) -> None:
    separator.separate_to_file(song, tmp_path / "out", output=Output(mono=True))
    total = sum(written(tmp_path / "out").values())
    mixture = soundfile.read(song, dtype="float32")[0].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(total, mixture, atol=0.51 / 32768)


@pytest.mark.parametrize(("subtype", "depth"), [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("FLOAT", "PCM_24")])
@pytest.mark.parametrize("codec", ["wav", "flac"])
def test_stems_have_the_bit_depth_of_the_song(
    separator: Separator, tmp_path: Path, music: Waveform, subtype: str, depth: str, codec: str
) -> None:
    soundfile.write(tmp_path / "song.wav", music[:20_000], 44_100, subtype=subtype)
    separator.separate_to_file(tmp_path / "song.wav", tmp_path, codec=codec)
    assert soundfile.info(tmp_path / "song" / f"vocals.{codec}").subtype == depth


def test_stems_have_the_bit_rate_of_the_song_and_titles_that_tell_them(
    separator: Separator, tmp_path: Path, music: Waveform
) -> None:
    metadata = AudioMetadata({"title": "Song"})
    encoding = Encoding(Codec.MP3, "192k")
    AudioAdapter.default().create(tmp_path / "song.mp3", 44_100, 2, encoding, metadata).write_all([music])
    output = Output(filename_format="{instrument}.mp3", title_stem=True)
    for name, path in separator.separate_to_file(tmp_path / "song.mp3", tmp_path, output=output).items():
        opened = mutagen.File(path)
        assert opened.info.bitrate == pytest.approx(192_000, rel=0.01)
        assert opened.tags["TIT2"].text == [f"Song ({name})"]
    separator.separate_to_file(tmp_path / "song.mp3", tmp_path, codec="mp3")
    saved = mutagen.File(tmp_path / "song" / "vocals.mp3")
    assert saved.info.bitrate == pytest.approx(128_000, rel=0.01), "the original's default"


def test_the_first_of_the_originals_arguments_follows_the_extension(
    separator: Separator, song: Path, tmp_path: Path
) -> None:
    separator.separate_to_file(song, tmp_path, filename_format="{instrument}.flac")
    assert soundfile.info(tmp_path / "vocals.flac").format == "FLAC"
    separator.save_to_file({"a": np.zeros((9, 2), np.float32)}, "s", tmp_path, filename_format="{instrument}.flac")
    assert soundfile.info(tmp_path / "a.flac").format == "FLAC"


def test_paths_that_are_given_name_the_codec(separator: Separator, song: Path, tmp_path: Path) -> None:
    targets = {name: tmp_path / f"{name}.flac" for name in INSTRUMENTS}
    separator.separate_to_file(song, targets)
    assert {soundfile.info(path).format for path in targets.values()} == {"FLAC"}


@pytest.mark.parametrize(
    "numbers",
    [
        {"offset": "0.5", "duration": "0.5"},
        {"offset": np.float64(0.5), "duration": np.float32(0.5)},
        {"offset": np.array(0.5), "duration": np.float16(0.5)},
    ],
    ids=["text", "scalars", "arrays"],
)
def test_numbers_of_any_type_are_read(
    separator: Separator, song: Path, tmp_path: Path, numbers: dict[str, Any]
) -> None:
    separator.separate_to_file(song, tmp_path / "out", **numbers)
    assert soundfile.info(tmp_path / "out" / "song" / "vocals.wav").frames == 22_050
    with pytest.raises(DecodeError, match="duration 'long' is not a number"):
        separator.separate_to_file(song, tmp_path / "out", duration="long")  # type: ignore[arg-type]


def test_a_users_adapter_is_given_text_for_paths(separator: Separator, tmp_path: Path, music: Waveform) -> None:
    class Noting(ArrayAdapter):
        def load(self, audio_descriptor: object, *args: Any, **kwargs: Any) -> Signal:
            seen.append(audio_descriptor)
            return super().load(audio_descriptor, *args, **kwargs)

        def save(self, path: Any, data: np.ndarray, *args: Any) -> None:
            seen.append(path)

    seen: list[object] = []
    separator.separate_to_file(Path("a", "song.mp3"), tmp_path, Noting(music))
    assert seen[0] == os.path.join("a", "song.mp3")  # noqa: PTH118
    assert {type(path) for path in seen} == {str}


def test_a_users_adapter_has_no_streams_to_choose_from(separator: Separator, tmp_path: Path, music: Waveform) -> None:
    separator.separate_to_file("song", tmp_path, ArrayAdapter(music), source=Input())
    with pytest.raises(DecodeError, match="ArrayAdapter has no choice of stream or start"):
        separator.separate_to_file("song", tmp_path, ArrayAdapter(music), source=Input(stream=1))


def test_a_stream_can_be_chosen(separator: Separator, song: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", song, "-f", "lavfi", "-i", "anullsrc=d=1", "-map", "0", "-map", "1",
         tmp_path / "two.mka"],
        check=True,
    )  # fmt: skip
    separator.separate_to_file(tmp_path / "two.mka", tmp_path, source=Input(stream=1))
    assert not any(np.any(stem) for stem in written(tmp_path, "two").values())


def test_output_says_the_same_as_the_originals_arguments(separator: Separator, song: Path, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"codec": "flac", "filename_format": "{instrument} of {filename}.{codec}"}
    ours = separator.separate_to_file(song, tmp_path / "ours", output=Output(**arguments))
    originals = separator.separate_to_file(song, tmp_path / "originals", **arguments)
    assert list(ours) == list(originals)
    for path, other in zip(ours.values(), originals.values(), strict=True):
        assert isinstance(path, Path)
        assert isinstance(other, Path)
        assert path.name == other.name
        assert path.read_bytes() == other.read_bytes()


def test_a_stem_that_the_model_does_not_give_is_refused(separator: Separator, song: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no stem 'vocal', but this model gives .*did you mean 'vocals'"):
        separator.separate_to_file(song, tmp_path / "out", output=Output(["vocal"]))
    assert not (tmp_path / "out").exists()


# --- file objects -----------------------------------------------------------------------------------------------


class Unseekable:
    """A readable file object without a name, such as a socket's, that has `read` and nothing else."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._content.read(min(size, 1000))


def objects(names: Iterable[str] = INSTRUMENTS) -> dict[str, FileTarget]:
    return {name: io.BytesIO() for name in names}


def contents(targets: Mapping[str, FileTarget]) -> dict[str, bytes]:
    return {name: target.getvalue() for name, target in targets.items() if isinstance(target, io.BytesIO)}


@pytest.mark.parametrize("codec", [Codec.WAV, Codec.FLAC, Codec.MP3])
def test_file_objects_get_the_bytes_of_the_files(
    separator: Separator, song: Path, tmp_path: Path, codec: Codec
) -> None:
    output = Output(["vocals", "drums"], residual="rest", codec=codec, plot=True)
    paths = separator.separate_to_file(song, tmp_path / "out", output=output)
    files = {name: Path(path).read_bytes() for name, path in paths.items() if isinstance(path, Path)}
    given = objects(["vocals", "drums", "rest", PLOT])
    with song.open("rb") as source:
        returned = separator.separate_to_file(source, given, output=output)
        assert not source.closed
    assert returned == given
    assert contents(given) == files


def test_a_source_may_be_in_memory_and_may_be_unseekable(separator: Separator, song: Path) -> None:
    from_path, from_memory, from_stream = objects(), objects(), objects()
    separator.separate_to_file(song, from_path)
    separator.separate_to_file(io.BytesIO(song.read_bytes()), from_memory)
    separator.separate_to_file(Unseekable(song.read_bytes()), from_stream)
    assert contents(from_memory) == contents(from_stream) == contents(from_path)
    assert all(contents(from_path).values())


def test_file_objects_are_used_from_where_they_stand_and_left_open(separator: Separator, song: Path) -> None:
    plain, positioned = objects(), {name: io.BytesIO(b"before") for name in INSTRUMENTS}
    for target in positioned.values():
        target.seek(0, io.SEEK_END)
    source = io.BytesIO(b"before" + song.read_bytes())
    source.seek(6)
    separator.separate_to_file(song, plain)
    separator.separate_to_file(source, positioned)
    assert contents(positioned) == {name: b"before" + content for name, content in contents(plain).items()}
    assert not source.closed


def test_a_file_object_takes_the_names_of_its_outputs_from_its_name(
    separator: Separator, song: Path, tmp_path: Path
) -> None:
    with song.open("rb") as named:
        separator.separate_to_file(named, tmp_path / "out")
    separator.separate_to_file(io.BytesIO(song.read_bytes()), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"song", "audio"}


def test_paths_and_file_objects_may_be_mixed(separator: Separator, song: Path, tmp_path: Path) -> None:
    vocals = io.BytesIO()
    targets: dict[str, FileTarget] = {
        "vocals": vocals, "drums": tmp_path / "new" / "drums.wav", "other": str(tmp_path / "rest.wav")
    }  # fmt: skip
    assert separator.separate_to_file(song, targets) == targets
    assert vocals.getvalue().startswith(b"RIFF")
    assert soundfile.info(tmp_path / "new" / "drums.wav").frames == soundfile.info(song).frames
    assert (tmp_path / "rest.wav").is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["vocals", "drums"], "has files for vocals, drums, but the outputs are vocals, drums, other"),
        (
            [*INSTRUMENTS, "bass"],
            "has files for vocals, drums, other, bass, but the outputs are vocals, drums, other",
        ),
        ([*INSTRUMENTS, PLOT], r"other, spectrograms\.png, but the outputs are vocals, drums, other"),
        ([], "has files for nothing, but"),
    ],
)
def test_a_destination_that_does_not_match_the_outputs_is_refused(
    separator: Separator, song: Path, names: list[str], message: str
) -> None:
    targets = objects(names)
    with pytest.raises(OutputError, match=message):
        separator.separate_to_file(song, targets)
    assert not any(contents(targets).values())


def test_one_file_for_two_outputs_is_refused(separator: Separator, song: Path, tmp_path: Path) -> None:
    for target, same in ((tmp_path / "a.wav", str(tmp_path / "a.wav")), (io.BytesIO(),) * 2):
        with pytest.raises(OutputError, match="one file for several outputs; give each its own"):
            separator.separate_to_file(song, {"vocals": target, "drums": same, "other": io.BytesIO()})
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_a_damaged_song_writes_to_no_file_object(separator: Separator, song: Path) -> None:
    class Failing(Unseekable):
        def read(self, size: int) -> bytes:
            if self._content.tell() > 300_000:
                raise OSError("connection reset")
            return super().read(size)

    for source, reason in (
        (io.BytesIO(b"this is no music"), "the file object"),
        (Failing(song.read_bytes()), "connection reset"),
    ):
        targets = objects()
        with pytest.raises(DecodeError, match=reason):
            separator.separate_to_file(source, targets)
        assert not any(contents(targets).values())


def test_an_output_that_fails_leaves_the_others_unwritten(separator: Separator, song: Path, tmp_path: Path) -> None:
    class FullDisk(PyAVAudioAdapter):
        """Fails at the end of one output, when the others are complete, or may be."""

        def create(self, path: FileTarget, *arguments: Any, **keywords: Any) -> AudioWriter:
            writer = super().create(path, *arguments, **keywords)
            if path is targets["drums"]:
                writer.close = self._fail  # type: ignore[method-assign]
            return writer

        def _fail(self) -> None:
            raise EncodeError("no space left")

    targets = {**objects(["vocals", "drums", "other", PLOT]), "other": tmp_path / "new" / "other.wav"}
    with pytest.raises(EncodeError, match="no space left"):
        separator.separate_to_file(song, targets, FullDisk(), output=Output(plot=True))
    assert not any(contents(targets).values())
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_a_target_that_cannot_be_written_to_is_refused_before_anything_is_written(
    separator: Separator, song: Path, tmp_path: Path
) -> None:
    closed = io.BytesIO()
    closed.close()
    for target, message in (
        (closed, "cannot write the file object: it is closed"),
        (io.StringIO(), "it is a text file object; open it in binary mode"),
        (17, "17 is neither a path nor a writable binary file object"),
    ):
        targets: dict[str, Any] = {**objects(), "drums": target, "other": tmp_path / "new" / "other.wav"}
        with pytest.raises(EncodeError, match=message):
            separator.separate_to_file(song, targets)
        assert not targets["vocals"].getvalue()
        assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_a_text_file_object_is_no_song(separator: Separator) -> None:
    with pytest.raises(DecodeError, match="it is a text file object; open it in binary mode"):
        separator.separate_to_file(io.StringIO("la la la"), objects())


# --- construction -----------------------------------------------------------------------------------------------


def test_unknown_models_and_devices_are_named_at_once(tiny_model: Path) -> None:
    with pytest.raises(ConfigurationError, match="2stems"):
        Separator("spleeter:2stem")
    with pytest.raises(DeviceError, match="unknown device 'gpu'"):
        Separator(str(tiny_model), device="gpu")
    with pytest.raises(DeviceError, match=r"not available|is not there"):
        Separator(str(tiny_model), device="cuda:99")


# --- memory that belongs to the caller -----------------------------------------------------------------------------


def test_blocks_may_be_read_into_one_buffer_over_and_over(separator: Separator, music: Waveform) -> None:
    buffer = np.empty((1000, 2), np.float32)

    def refilled() -> Iterator[Waveform]:
        for first in range(0, len(music) - 1000, 1000):
            buffer[:] = music[first : first + 1000]
            yield buffer

    mixture = np.concatenate([block for block, _ in separator.separate_blocks(refilled())])
    assert np.array_equal(mixture, music[: len(mixture)])


def test_arrays_of_any_kind(separator: Separator, music: Waveform) -> None:
    expected = separator.separate(music)
    backwards = music[::-1].copy()[::-1]
    read_only = np.frombuffer(music.tobytes(), np.float32).reshape(-1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for array in (backwards, read_only, np.asfortranarray(music), music.astype(np.float64)):
            for name, stem in separator.separate(array).items():
                assert np.array_equal(stem, expected[name])


def test_saving_nothing_does_nothing(separator: Separator, tmp_path: Path) -> None:
    separator.save_to_file({}, "song.mp3", tmp_path)
    assert not list(tmp_path.iterdir())


def test_several_threads_may_share_a_separator(separator: Separator, music: Waveform) -> None:
    songs = [music[: 20_000 * (n + 1)] for n in range(6)]
    alone = [separator.separate(song) for song in songs]
    with ThreadPoolExecutor(6) as threads:
        for expected, got in zip(alone, threads.map(separator.separate, songs), strict=True):
            assert all(np.array_equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_and_not_the_same(tiny_model: Path, music: Waveform, precision: Precision) -> None:
    full: Precision = "float32"
    exact, half = (Separator(str(tiny_model), precision=p).separate(music) for p in (full, precision))
    for name, stem in exact.items():
        assert not np.array_equal(half[name], stem)
        assert np.sum(stem**2) > 1e3 * np.sum((half[name] - stem) ** 2)


def test_unknown_precision(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="unknown precision 'half': choose float32, bfloat16, float16"):
        Separator(str(tiny_model), precision="half")  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux lists them")
def test_one_team_of_threads_computes_the_network(tiny_model: Path) -> None:
    """Where two threads of a process had a team each, OpenMP would let both sleep between any two operators.

    OpenMP's threads are those of the process that are not Python's. At the end one more team is started, to show that
    it would be counted.
    """
    code = f"""
        import os, threading, time, numpy, torch
        from spleeter.separator import Separator

        def others():
            return len(os.listdir("/proc/self/task")) - threading.active_count()

        def count(expected):  # threads that have ended may still be there for a moment
            deadline = time.monotonic() + 10
            while others() - before != expected and time.monotonic() < deadline:
                time.sleep(0.01)
            return others() - before

        torch.set_num_threads(2)
        separator, before = Separator({str(tiny_model)!r}, device="cpu"), others()
        song = numpy.random.default_rng(0).standard_normal((1 << 19, 2), numpy.float32)
        separator.separate(numpy.concatenate([song, 0 * song, song]))
        print(count(1))
        torch.ones(1 << 20).exp()
        print(count(2))
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "2"], "the helper of the thread that computes; and then this thread's own"


# --- channels, threads and words --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mono(tmp_path_factory: pytest.TempPathFactory) -> Separator:
    """A separator whose model has one channel."""
    folder = tmp_path_factory.mktemp("models") / "mono"
    folder.mkdir()
    configuration = Configuration.load({**TINY, "n_channels": 1})
    save_network(folder, build(configuration), configuration)
    return Separator(folder)


def test_a_model_of_one_channel_separates(mono: Separator, tmp_path: Path, song: Path, music: Waveform) -> None:
    middle = music.mean(axis=1, keepdims=True)
    stems = mono.separate(music)
    for name, stem in mono.separate(middle).items():
        np.testing.assert_allclose(stems[name], stem, rtol=0, atol=1e-6)
    np.testing.assert_allclose(sum(stems.values()), middle, rtol=0, atol=1e-6)
    mono.separate_to_file(song, tmp_path, output=FLOAT)
    for name, stem in written(tmp_path).items():
        assert stem.shape == (len(music), 1)
        np.testing.assert_allclose(stem, stems[name], rtol=0, atol=1e-3)  # the song has 16 bits


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_exact_takes_the_first_two_of_six_channels(
    tiny_model: Path, tmp_path: Path, music: Waveform, extension: str
) -> None:
    """As the original; otherwise they are mixed down, as FFmpeg does."""
    six = np.concatenate([music, 0.5 * music[::-1], -0.3 * music], axis=1)
    soundfile.write(tmp_path / f"six.{extension}", six, 44100)
    soundfile.write(tmp_path / f"two.{extension}", music, 44100)
    for exact in (True, False):
        separator = Separator(tiny_model, exact=exact)
        for name in ("six", "two"):
            separator.separate_to_file(tmp_path / f"{name}.{extension}", tmp_path / str(exact), output=FLOAT)
        of_six, of_two = (written(tmp_path / str(exact), name) for name in ("six", "two"))
        assert all(np.array_equal(of_six[name], of_two[name]) for name in INSTRUMENTS) == exact


def test_exact_takes_one_channel_twice(tiny_model: Path, tmp_path: Path, music: Waveform) -> None:
    soundfile.write(tmp_path / "mono.wav", music[:, :1], 44100, subtype="FLOAT")
    separator = Separator(tiny_model, exact=True)
    separator.separate_to_file(tmp_path / "mono.wav", tmp_path, output=FLOAT)
    expected = separator.separate(music[:, :1])
    for name, stem in written(tmp_path, "mono").items():
        assert np.array_equal(stem, expected[name])


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_threads_compute_than_asked_for(tiny_model: Path, music: Waveform, threads: int) -> None:
    separator = Separator(tiny_model, threads=threads)
    separator.load()
    used: list[int] = []
    estimate = TorchBackend.estimate

    def counted(backend: TorchBackend, magnitudes: np.ndarray) -> Any:
        used.append(torch.get_num_threads())
        return estimate(backend, magnitudes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TorchBackend, "estimate", counted)
        separator.separate(music)
    assert max(used) <= threads


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_out_of_range_are_refused(tiny_model: Path, threads: int) -> None:
    with pytest.raises(ConfigurationError, match=r"threads .* out of range: choose a whole number from 1"):
        Separator(tiny_model, threads=threads)


def test_repr_says_model_device_and_quality(tiny_model: Path) -> None:
    assert repr(Separator(tiny_model, device="cpu", quality="fast")) == (
        "<Separator 'tiny' (vocals, drums, other) on cpu, Quality(overlap=0.0, shifts=1, mwf=False)>"
    )
    assert repr(Separator("spleeter:2stems", device="cpu", exact=True)) == (
        "<Separator '2stems' (vocals, accompaniment) on cpu, exact>"
    )


@pytest.mark.parametrize("to_file", [False, True])
def test_progress_is_told_every_second_and_its_exception_ends_the_separation(
    separator: Separator, tmp_path: Path, music: Waveform, to_file: bool
) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, music, 44100)
    told: list[int] = []

    def stop_after_two_seconds(done: int, total: int | None) -> None:
        told.append(done)
        assert total == len(music)
        if done >= 2 * 44100:
            raise KeyboardInterrupt

    def separate() -> object:
        if to_file:
            return separator.separate_to_file(song, tmp_path / "stems", progress=stop_after_two_seconds)
        return separator.separate(music, progress=stop_after_two_seconds)

    with pytest.raises(KeyboardInterrupt):
        separate()
    assert told[-1] <= 3 * 44100
    assert all(0 < after - before <= 44100 for before, after in zip([0, *told], told, strict=False))
    assert not (tmp_path / "stems" / "song").exists()


@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_samples_that_overflow_are_refused(
    tiny_model: Path, tmp_path: Path, music: Waveform, quality: QualityName
) -> None:
    """In arrays, blocks and files: NaN is never returned, and nothing is left of a file."""
    separator = Separator(tiny_model, quality=quality)
    loud = music * np.float32(1e30)
    soundfile.write(tmp_path / "loud.wav", loud, 44100, subtype="FLOAT")
    rule = r"the song reaches 5e\+29 times full scale: scale samples to ±1"
    with pytest.raises(AudioError, match=rule):
        separator.separate(loud)
    with pytest.raises(AudioError, match="times full scale"):
        list(separator.separate_blocks([loud]))
    with pytest.raises(AudioError, match="times full scale"):
        separator.separate_to_file(tmp_path / "loud.wav", tmp_path, output=FLOAT)
    assert not (tmp_path / "loud").exists()
    for stem in separator.separate(music * np.float32(2**15)).values():  # as integers that were not scaled
        assert np.isfinite(stem).all()
