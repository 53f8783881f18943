"""The output files of a song: all of them appear, or none; clipping; rounding that keeps their sum."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spleeter.audio.adapter import AudioAdapter, AudioWriter
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import EncodeError, OutputError
from spleeter.pipeline.options import Clip, Output
from spleeter.pipeline.sink import StemFiles, check_source, round_together
from spleeter.types import FileTarget
from tests.utils.disks import disk_of, recorded_calls


def noise(n_samples: int = 20_000, gain: float = 0.3, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(-gain, gain, (n_samples, 2))).astype(np.float32)


def stem_files(
    folder: Path,
    names: Iterable[str] = ("a", "b"),
    clip: Clip = "clamp",
    bit_depth: int = 32,
    adapter: AudioAdapter | None = None,
    sums_to_mixture: bool = False,
) -> StemFiles:
    """Files of the names, in stereo at 44.1 kHz."""
    paths = {name: folder / f"{name}.wav" for name in names}
    output = Output(bit_depth=bit_depth, clip=clip)
    return StemFiles(adapter or AudioAdapter.default(), paths, 44100, 2, output, sums_to_mixture=sums_to_mixture)


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_the_sum_of_what_is_rounded_together_is_off_by_half_a_step_at_most(bits: int, n_outputs: int) -> None:
    step = 2.0 ** (1 - bits)
    outputs = {str(number): noise(seed=number, gain=0.1) for number in range(n_outputs)}
    rounded = round_together(outputs, bits)
    off = sum(rounded[name].astype(float) - outputs[name] for name in outputs)
    rounding = n_outputs * 2.0**-27  # of float32 numbers up to 0.1
    assert np.abs(off).max() <= step / 2 + rounding
    for name, output in outputs.items():
        assert not np.any(rounded[name].astype(float) % step)
        assert np.abs(rounded[name].astype(float) - output).max() <= step + rounding


@pytest.mark.parametrize("depth", [16, 24, 32])
@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_integer_files_sum_to_the_integers_that_the_outputs_sum_to(tmp_path: Path, depth: int, clip: Clip) -> None:
    """But not if a gain is applied to them; and floats are left as they are."""
    whole = np.rint(noise(gain=0.5) * 2**15).astype(np.float32) / np.float32(2**15)
    outputs: dict[str, np.ndarray] = {name: noise(gain=0.1, seed=ord(name)) for name in "abc"}
    outputs["d"] = whole - outputs["a"] - outputs["b"] - outputs["c"]
    with stem_files(tmp_path, outputs, clip, depth, sums_to_mixture=True) as writing:
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


def test_all_files_appear_at_the_end_and_none_before(tmp_path: Path) -> None:
    samples = noise()
    with stem_files(tmp_path / "new" / "folder") as stems:
        for start in range(0, len(samples), 3000):
            stems.write({"a": samples[start : start + 3000], "b": -samples[start : start + 3000]})
        assert not list((tmp_path / "new" / "folder").glob("*.wav"))
    np.testing.assert_array_equal(soundfile.read(tmp_path / "new/folder/a.wav", dtype="float32")[0], samples)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "new/folder/b.wav", dtype="float32")[0], -samples)
    assert everything_below(tmp_path) == ["new", "new/folder", "new/folder/a.wav", "new/folder/b.wav"]


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_an_error_leaves_nothing_and_what_was_there_before(tmp_path: Path, clip: Clip) -> None:
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(ZeroDivisionError), stem_files(tmp_path, clip=clip) as stems:  # noqa: PT012
        stems.write({"a": noise(), "b": noise()})
        raise ZeroDivisionError
    assert everything_below(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"precious"


def test_an_error_removes_the_folders_it_made(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stem_files(tmp_path / "x" / "y"):
        raise KeyboardInterrupt
    assert everything_below(tmp_path) == []


def test_one_file_that_cannot_be_made_takes_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    paths = {"a": tmp_path / "a.wav", "b": tmp_path / "file" / "b.wav"}
    with pytest.raises(OutputError, match="cannot make the output folder"):
        StemFiles(AudioAdapter.default(), paths, 44100, 2, Output()).__enter__()
    assert everything_below(tmp_path) == ["file"]


class FullDisk(PyAVAudioAdapter):
    """No file or file object named b can be completed."""

    def create(self, path: FileTarget, *arguments: Any, **keywords: Any) -> AudioWriter:
        writer = super().create(path, *arguments, **keywords)
        if Path(getattr(path, "name", str(path))).stem == "b":
            writer.close = self._fail  # type: ignore[method-assign]
        return writer

    def _fail(self) -> None:
        raise EncodeError("no space left")


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_a_file_that_cannot_be_completed_takes_the_others_with_it(tmp_path: Path, clip: Clip) -> None:
    with (  # noqa: PT012
        pytest.raises(EncodeError, match="no space"),
        stem_files(tmp_path, "abc", clip, adapter=FullDisk()) as stems,
    ):
        stems.attach(tmp_path / "d.png", b"a plot")
        stems.write({name: noise() for name in "abc"})
    assert everything_below(tmp_path) == []


class FailsToAppear(PyAVAudioAdapter):
    """Files of the given names are completed, but cannot be moved to their places."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def create(self, path: FileTarget, *arguments: Any, **keywords: Any) -> AudioWriter:
        writer = super().create(path, *arguments, **keywords)
        if Path(str(path)).stem in self._names:
            writer.commit = self._fail  # type: ignore[method-assign]
        return writer

    def _fail(self) -> None:
        raise EncodeError("cannot be moved")


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_if_one_cannot_appear_all_are_as_before(tmp_path: Path, failing: str) -> None:
    before = {"a.wav": b"an old stem", "c.wav": b"another", "plot.png": b"an old plot"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    written = io.BytesIO()
    targets: dict[str, FileTarget] = {name: tmp_path / f"{name}.wav" for name in "abc"}
    with (  # noqa: PT012
        pytest.raises(EncodeError, match="cannot be moved"),
        StemFiles(FailsToAppear(failing), {**targets, "d": written}, 44100, 2, Output()) as stems,
    ):
        stems.attach(tmp_path / "plot.png", b"a plot")
        stems.write({name: noise() for name in "abcd"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_if_the_plot_cannot_appear_no_stem_does(tmp_path: Path) -> None:
    with (  # noqa: PT012
        pytest.raises(EncodeError, match=r"cannot write .*plot\.png"),
        stem_files(tmp_path / "song") as stems,
    ):
        stems.write({"a": noise(), "b": noise()})
        stems.attach(tmp_path / "song" / "plot.png", b"a plot")
        (tmp_path / "song" / "plot.png").mkdir()
    assert everything_below(tmp_path) == ["song", "song/plot.png"]


def test_a_song_is_on_the_disk_when_it_is_done(tmp_path: Path) -> None:
    """Each file before it appears, and the folders once."""
    with recorded_calls(tmp_path) as calls, stem_files(tmp_path / "new" / "song") as stems:
        stems.attach(tmp_path / "new" / "song" / "plot.png", b"a plot")
        stems.write({"a": noise(), "b": noise()})
    assert calls == [
        *["fsync new/song/HIDDEN/content"] * 3,
        *(f"replace new/song/{name}" for name in ("a.wav", "b.wav", "plot.png")),
        *("fsync new/song", "fsync new", "fsync ."),
    ]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with (  # noqa: PT012
        disk_of(50_000),
        pytest.raises(EncodeError, match=r"cannot write .*\.wav: File too large"),
        stem_files(tmp_path / "song") as stems,
    ):
        for _ in range(20):
            stems.write({"a": noise(), "b": noise()})
    assert everything_below(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from spleeter.audio.adapter import AudioAdapter
from spleeter.pipeline.options import Output
from spleeter.pipeline.sink import StemFiles
paths = {name: Path(sys.argv[1], name + ".wav") for name in "ab"}
with StemFiles(AudioAdapter.default(), paths, 44100, 2, Output(clip=sys.argv[2])) as stems:
    stems.write(dict.fromkeys(paths, np.zeros((200_000, 2), np.float32)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_what_a_killed_run_leaves_is_hidden_and_removed_by_the_next(tmp_path: Path, clip: Clip) -> None:
    (tmp_path / "a.wav").write_bytes(b"an old stem")
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), clip], check=False)
    assert process.returncode == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()} - {"a.wav"}
    assert left
    assert all(name.startswith(".") for name in left)
    assert (tmp_path / "a.wav").read_bytes() == b"an old stem"
    next_run = subprocess.run(
        [sys.executable, "-c", KILLED.replace("os.kill", "print"), str(tmp_path), clip], check=False
    )
    assert next_run.returncode == 0
    assert everything_below(tmp_path) == ["a.wav", "b.wav"]


def test_another_song_that_fails_does_not_take_the_folder_away(tmp_path: Path) -> None:
    with stem_files(tmp_path / "songs" / "one", "a") as stems:
        with pytest.raises(KeyboardInterrupt), stem_files(tmp_path / "songs" / "one", "b"):
            raise KeyboardInterrupt
        stems.write({"a": noise()})
    assert everything_below(tmp_path) == ["songs", "songs/one", "songs/one/a.wav"]


def test_file_objects_are_written_to_at_the_end_and_not_closed(tmp_path: Path) -> None:
    samples, targets = noise(), {"a": io.BytesIO(), "b": io.BytesIO()}
    plot = io.BytesIO()
    with StemFiles(AudioAdapter.default(), targets, 44100, 2, Output(bit_depth=32)) as stems:
        stems.attach(plot, b"a plot")
        for start in range(0, len(samples), 3000):
            stems.write({"a": samples[start : start + 3000], "b": -samples[start : start + 3000]})
        assert not any(target.getvalue() for target in (*targets.values(), plot))
    with stem_files(tmp_path) as stems:
        stems.write({"a": samples, "b": -samples})
    for name, target in targets.items():
        assert target.getvalue() == (tmp_path / f"{name}.wav").read_bytes()
    assert plot.getvalue() == b"a plot"


def test_a_file_object_that_cannot_be_written_to_leaves_no_files(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError("no space")

    targets: dict[str, FileTarget] = {"a": tmp_path / "a.wav", "b": Full(), "c": tmp_path / "c.wav"}
    with (  # noqa: PT012
        pytest.raises(EncodeError, match="no space"),
        StemFiles(AudioAdapter.default(), targets, 44100, 2, Output()) as stems,
    ):
        stems.attach(tmp_path / "d.png", b"a plot")
        stems.write({name: noise() for name in targets})
    assert everything_below(tmp_path) == []


def test_an_error_leaves_file_objects_as_they_are() -> None:
    class Named(io.BytesIO):
        name = "b.wav"

    whole, failing, plot = io.BytesIO(), Named(), io.BytesIO()
    with (  # noqa: PT012
        pytest.raises(EncodeError, match="no space"),
        StemFiles(FullDisk(), {"a": whole, "b": failing}, 44100, 2, Output()) as stems,
    ):
        stems.attach(plot, b"a plot")
        stems.write({"a": noise(), "b": noise()})
    assert not any(target.getvalue() for target in (whole, failing, plot))


def test_a_song_is_not_replaced_by_its_stem(tmp_path: Path) -> None:
    song, link = tmp_path / "song.wav", tmp_path / "link.wav"
    song.write_bytes(b"a song")
    link.symlink_to(song)
    names: list[FileTarget] = [song, str(song), tmp_path / "." / ".." / tmp_path.name / "song.wav"]
    with song.open("r+b") as opened:
        for source in (song, str(song), link, opened):
            for target in (*names, link, opened):
                with pytest.raises(OutputError, match=r"is the song itself.* its vocals: choose") as caught:
                    check_source(source, {"drums": tmp_path / "drums.wav", "vocals": target})
                assert "\n" not in str(caught.value)


def test_other_files_and_objects_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"a song")
    (tmp_path / "old.wav").write_bytes(b"a song")
    for source in (tmp_path / "song.wav", tmp_path / "absent", "http://host/song", io.BytesIO(), object()):
        check_source(source, {"a": tmp_path / "old.wav", "b": tmp_path / "new.wav", "c": io.BytesIO()})
    with Path(os.devnull).open("r+b") as device:  # as with a terminal, which may be read and written
        check_source(device, {"a": device})


def test_clamp_cuts_off_and_reports_how_much(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud = noise()
    loud[100:110, 0] = 2.0
    with caplog.at_level(logging.WARNING, "spleeter"), stem_files(tmp_path) as stems:
        stems.write({"a": loud, "b": noise()})
    written = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    np.testing.assert_array_equal(written, np.clip(loud, -1, 1))
    assert f"10 in {tmp_path / 'a.wav'}" in caplog.text
    assert "+6.0 dBFS" in caplog.text
    assert "b.wav" not in caplog.text


def test_rescale_turns_all_outputs_down_by_one_gain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud, soft = noise(gain=4.0), noise()
    with caplog.at_level(logging.WARNING, "spleeter"), stem_files(tmp_path, clip="rescale") as stems:
        for start in range(0, len(loud), 3000):
            stems.write({"a": loud[start : start + 3000], "b": soft[start : start + 3000]})
    written = {name: soundfile.read(tmp_path / f"{name}.wav", dtype="float32")[0] for name in "ab"}
    assert np.abs(written["a"]).max() == pytest.approx(1.0)
    np.testing.assert_allclose(written["a"] * np.abs(loud).max(), loud, atol=1e-6)
    np.testing.assert_allclose(written["b"] * np.abs(loud).max(), soft, atol=1e-6)
    assert "attenuated by 12.0 dB" in caplog.text


def test_rescale_leaves_what_fits_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = noise()
    with stem_files(tmp_path, clip="rescale") as stems:
        stems.write({"a": samples, "b": samples})
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], samples)
    assert not caplog.text


def test_none_keeps_what_is_beyond_full_scale(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud = noise(gain=4.0)
    with caplog.at_level(logging.WARNING, "spleeter"), stem_files(tmp_path, ["a"], clip="none") as stems:
        stems.write({"a": loud})
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], loud)
    assert "kept as they are" in caplog.text
