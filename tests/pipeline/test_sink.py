"""Names of outputs, and the rule that all of a song's files appear, or none."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import Codec, Encoding
from spleeter.errors import EncodeError, OutputError
from spleeter.pipeline.sink import Clip, StemFiles, output_paths, rounded_together


def noise(n_samples: int = 20_000, gain: float = 0.3, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(-gain, gain, (n_samples, 2))).astype(np.float32)


def files(
    folder: Path,
    names: Iterable[str] = ("a", "b"),
    encoding: Encoding | None = None,
    clip: Clip = "clamp",
    round_together: bool = False,
) -> StemFiles:
    paths = {name: folder / f"{name}.wav" for name in names}
    return StemFiles(
        AudioAdapter.default(), paths, 44100, 2, encoding or Encoding(bit_depth=32), None, clip, round_together
    )


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_rounded_together_the_sum_is_off_by_half_a_step_at_most(bits: int, n_outputs: int) -> None:
    step = 2.0 ** (1 - bits)
    outputs = {str(number): noise(seed=number, gain=0.1) for number in range(n_outputs)}
    rounded = rounded_together(outputs, bits)
    off = sum(rounded[name].astype(float) - outputs[name] for name in outputs)
    rounding = n_outputs * 2.0**-27  # of float32 numbers up to 0.1
    assert np.abs(off).max() <= step / 2 + rounding
    for name, output in outputs.items():
        assert not np.any(rounded[name].astype(float) % step)
        assert np.abs(rounded[name].astype(float) - output).max() <= step + rounding


@pytest.mark.parametrize("depth", [16, 24, 32])
@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_integer_files_sum_to_the_integers_that_the_outputs_sum_to(tmp_path: Path, depth: int, clip: Clip) -> None:
    """But not if they are turned down, and floats are left as they are."""
    whole = np.rint(noise(gain=0.5) * 2**15).astype(np.float32) / np.float32(2**15)
    outputs: dict[str, np.ndarray] = {name: noise(gain=0.1, seed=ord(name)) for name in "abc"}
    outputs["d"] = whole - outputs["a"] - outputs["b"] - outputs["c"]
    with files(tmp_path, outputs, Encoding(bit_depth=depth), clip, round_together=True) as writing:
        writing.write(outputs)
    read = {name: soundfile.read(tmp_path / f"{name}.wav", dtype="float64")[0] for name in outputs}
    off = np.abs(sum(read.values()) - whole.astype(float)).max()
    if depth == 32:
        assert all(np.array_equal(read[name], outputs[name]) for name in outputs)
    elif clip == "clamp" and depth == 16:
        assert off == 0
    elif clip == "clamp":
        assert off <= 2.0**-23
    else:
        assert off > 0


@pytest.mark.parametrize(
    ("song", "filename_format", "expected"),
    [
        ("music/song.mp3", "{filename}/{instrument}.{codec}", "song/vocals.flac"),
        ("music/song.mp3", "{foldername}/{filename}-{instrument}.{codec}", "music/song-vocals.flac"),
        ("song.mp3", "{foldername}{filename}.{instrument}.{codec}", "song.vocals.flac"),
        ("Ünïcode – 曲.tar.wav", "{filename}/{instrument}.{codec}", "Ünïcode – 曲.tar/vocals.flac"),
        ("https://host/a/b.mp3", "{foldername}/{filename}/{instrument}.{codec}", "a/b/vocals.flac"),
    ],
)
def test_the_format_is_filled_in(song: str, filename_format: str, expected: str) -> None:
    paths = output_paths(song, "out", ["vocals", "drums"], Codec.FLAC, filename_format)
    assert paths["vocals"] == Path("out", expected)


@pytest.mark.parametrize("filename_format", ["all.wav", "{filename}.{codec}", "I wanna be your lover"])
def test_stems_may_not_share_a_path(filename_format: str) -> None:
    with pytest.raises(OutputError, match=r"several stems one path.*instrument"):
        output_paths("song.mp3", "out", ["vocals", "drums"], Codec.WAV, filename_format)


@pytest.mark.parametrize("filename_format", ["{artist}/{instrument}", "{instrument", "{}", "{instrument.x}", "{0}"])
def test_unknown_fields_are_named_with_the_known_ones(filename_format: str) -> None:
    with pytest.raises(OutputError, match=r"fields are .*filename.*foldername.*instrument.*codec"):
        output_paths("song.mp3", "out", ["vocals"], Codec.WAV, filename_format)


def test_all_files_appear_at_the_end_and_none_before(tmp_path: Path) -> None:
    samples = noise()
    with files(tmp_path / "new" / "folder") as stems:
        for start in range(0, len(samples), 3000):
            stems.write({"a": samples[start : start + 3000], "b": -samples[start : start + 3000]})
        assert not list((tmp_path / "new" / "folder").glob("*.wav"))
    np.testing.assert_array_equal(soundfile.read(tmp_path / "new/folder/a.wav", dtype="float32")[0], samples)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "new/folder/b.wav", dtype="float32")[0], -samples)
    assert everything_below(tmp_path) == ["new", "new/folder", "new/folder/a.wav", "new/folder/b.wav"]


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_an_error_leaves_nothing_and_what_was_there_before(tmp_path: Path, clip: Clip) -> None:
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(ZeroDivisionError), files(tmp_path, clip=clip) as stems:  # noqa: PT012
        stems.write({"a": noise(), "b": noise()})
        raise ZeroDivisionError
    assert everything_below(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"precious"


def test_an_error_removes_the_folders_it_made(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files(tmp_path / "x" / "y"):
        raise KeyboardInterrupt
    assert everything_below(tmp_path) == []


def test_one_file_that_cannot_be_made_takes_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    paths = {"a": tmp_path / "a.wav", "b": tmp_path / "file" / "b.wav"}
    with pytest.raises(OutputError, match="cannot make the output folder"):
        StemFiles(AudioAdapter.default(), paths, 44100, 2, Encoding()).__enter__()
    assert everything_below(tmp_path) == ["file"]


def test_a_file_that_cannot_be_finished_takes_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems = files(tmp_path).__enter__()
    stems.write({"a": noise(), "b": noise()})

    def full_disk() -> None:
        raise EncodeError("no space left")

    monkeypatch.setattr(stems._writers["b"], "close", full_disk)
    with pytest.raises(EncodeError, match="no space"):
        stems.__exit__(None, None, None)
    assert everything_below(tmp_path) == []


def test_clamp_cuts_off_and_says_how_much(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud = noise()
    loud[100:110, 0] = 2.0
    with caplog.at_level(logging.WARNING, "spleeter"), files(tmp_path) as stems:
        stems.write({"a": loud, "b": noise()})
    written = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    np.testing.assert_array_equal(written, np.clip(loud, -1, 1))
    assert f"10 in {tmp_path / 'a.wav'}" in caplog.text
    assert "+6.0 dBFS" in caplog.text
    assert "b.wav" not in caplog.text


def test_rescale_turns_all_outputs_down_by_one_gain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud, soft = noise(gain=4.0), noise()
    with caplog.at_level(logging.WARNING, "spleeter"), files(tmp_path, clip="rescale") as stems:
        for start in range(0, len(loud), 3000):
            stems.write({"a": loud[start : start + 3000], "b": soft[start : start + 3000]})
    written = {name: soundfile.read(tmp_path / f"{name}.wav", dtype="float32")[0] for name in "ab"}
    assert np.abs(written["a"]).max() == pytest.approx(1.0)
    np.testing.assert_allclose(written["a"] * np.abs(loud).max(), loud, atol=1e-6)
    np.testing.assert_allclose(written["b"] * np.abs(loud).max(), soft, atol=1e-6)
    assert "turned down by 12.0 dB" in caplog.text


def test_rescale_leaves_what_fits_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = noise()
    with files(tmp_path, clip="rescale") as stems:
        stems.write({"a": samples, "b": samples})
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], samples)
    assert not caplog.text


def test_none_keeps_what_is_beyond_full_scale(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud = noise(gain=4.0)
    with caplog.at_level(logging.WARNING, "spleeter"), files(tmp_path, ["a"], clip="none") as stems:
        stems.write({"a": loud})
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], loud)
    assert "kept as they are" in caplog.text


@pytest.mark.parametrize("encoding", [Encoding(), Encoding(bit_depth=24), Encoding(Codec.FLAC)])
def test_none_needs_a_format_without_full_scale(tmp_path: Path, encoding: Encoding) -> None:
    with pytest.raises(OutputError, match="bit depth 32"):
        files(tmp_path, encoding=encoding, clip="none")
