"""The adapter interface: finding one, and a user's own that only has load and save."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleeter.audio.adapter import AudioAdapter, AudioMetadata
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.ffmpeg import FFMPEGProcessAudioAdapter
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import EncodeError, SpleeterError
from spleeter.types import AudioDescriptor, FileTarget, Signal

WAVEFORM = np.array([[0.5, -0.25], [2.0, 1.0], [-3.0, 0.0]], np.float32)


class OwnAdapter(AudioAdapter):
    """Serves one waveform, and remembers what it is asked to save."""

    def __init__(self) -> None:
        self.loaded: list[tuple[Any, ...]] = []
        self.saved: list[tuple[Any, ...]] = []

    def load(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        self.loaded.append((audio_descriptor, offset, duration, sample_rate))
        return WAVEFORM, 8000

    def save(
        self,
        path: FileTarget,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        self.saved.append((path, data, sample_rate, codec, bitrate))


def test_the_default_is_built_once_and_has_its_old_class() -> None:
    assert AudioAdapter.default() is AudioAdapter.default()
    assert isinstance(AudioAdapter.default(), FFMPEGProcessAudioAdapter)
    assert isinstance(AudioAdapter.get("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"), PyAVAudioAdapter)
    assert AudioAdapter.get("") is AudioAdapter.default()


@pytest.mark.parametrize("path", ["Nowhere", "nowhere.Nothing", "spleeter.audio.pyav.Nothing", ".", "a..b"])
def test_a_path_to_nothing_is_refused_with_the_form_it_should_have(path: str) -> None:
    with pytest.raises(SpleeterError, match=rf"no audio adapter '{re.escape(path)}'.*package\.module\.Class"):
        AudioAdapter.get(path)


@pytest.mark.parametrize("path", ["pathlib.Path", "json.dumps"])
def test_a_path_to_something_else_is_refused(path: str) -> None:
    with pytest.raises(SpleeterError, match=rf"{path} is not a subclass of spleeter\.audio\.adapter\.AudioAdapter"):
        AudioAdapter.get(path)


def test_ones_own_adapter_can_be_opened() -> None:
    adapter = OwnAdapter()
    with adapter.open("id", 1.0, 2.0, 8000, n_channels=3) as reader:
        assert (reader.sample_rate, reader.n_channels, reader.n_samples) == (8000, 3, 3)
        assert reader.metadata == AudioMetadata()
        (block,) = reader.blocks()
    np.testing.assert_array_equal(block[:, :2], WAVEFORM)
    assert adapter.loaded == [("id", 1.0, 2.0, 8000)]


def test_ones_own_adapter_saves_on_commit_all_that_was_written(tmp_path: Path) -> None:
    adapter = OwnAdapter()
    writer = adapter.create(tmp_path / "a.mp3", 8000, 2, Encoding(Codec.MP3, "96k"))
    for row in WAVEFORM:
        writer.write(row[None])
    writer.close()
    assert not adapter.saved
    writer.commit()
    ((path, data, sample_rate, codec, bitrate),) = adapter.saved
    np.testing.assert_array_equal(data, WAVEFORM)
    assert (path, sample_rate, codec, bitrate) == (str(tmp_path / "a.mp3"), 8000, Codec.MP3, "96k")


def test_ones_own_adapter_decides_the_codec_where_none_is_named(tmp_path: Path) -> None:
    adapter = OwnAdapter()
    writer = adapter.create(tmp_path / "a.xyz", 8000, 2)
    writer.close()
    writer.commit()
    assert adapter.saved[0][3:] == (None, None)


def test_ones_own_adapter_has_no_bit_depth(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="OwnAdapter has no choice of bit depth"):
        OwnAdapter().create(tmp_path / "a.wav", 8000, 2, Encoding(Codec.WAV, bit_depth=24))
