"""The curves of a training, written and read back, as a CSV file and by TensorBoard."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleeter.errors import TrainingError
from spleeter.training.monitoring.example import Example
from spleeter.training.monitoring.history import HISTORY_FILE, Scalar, read_history
from spleeter.training.monitoring.summaries import Summaries

LOSSES = {"vocals": 0.125, "drums": 0.25}


@pytest.fixture
def without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


def write(folder: Path, begin: int, *steps: int) -> None:
    with Summaries(folder, begin) as summaries:
        for step in steps:
            summaries.training(step, LOSSES, 2.5, 0.125)
            summaries.validation(step, LOSSES)


def steps_of(folder: Path) -> list[int]:
    return list(dict.fromkeys(row.step for row in read_history(folder / HISTORY_FILE)))


@pytest.mark.usefixtures("without_tensorboard")
def test_a_written_history_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "made" / HISTORY_FILE
    with Summaries(path.parent, 0) as summaries:
        summaries.training(5, {"vocals": 1 / 3, 'a "b", ü': math.inf}, 2.5, 0.125)
        assert read_history(path) == [  # while the training runs
            Scalar(5, "training", "loss", math.inf),
            Scalar(5, "training", "loss/vocals", 1 / 3),
            Scalar(5, "training", 'loss/a "b", ü', math.inf),
            Scalar(5, "training", "steps_per_second", 2.5),
            Scalar(5, "training", "data_wait", 0.125),
        ]
        summaries.validation(7, {"vocals": math.nan})
    last = read_history(path)[-1]
    assert (last.step, last.set, last.name) == (7, "validation", "loss/vocals")
    assert math.isnan(last.value)
    assert path.read_text().startswith("step,set,name,value\n5,training,loss,inf\n5,training,loss/vocals,0.333")


@pytest.mark.usefixtures("without_tensorboard")
def test_without_tensorboard_only_the_history_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spleeter"), Summaries(tmp_path, 0) as summaries:
        assert not summaries.takes_examples
        summaries.example(
            1, Example({"vocals": np.ones((2, 8, 8), np.float32)}, {"vocals": np.ones((2, 8), np.float32)}, 8000)
        )
    assert [path.name for path in tmp_path.iterdir()] == [HISTORY_FILE]
    assert [(record.levelname, "spleeter[train]" in record.message) for record in caplog.records] == [("INFO", True)]


@pytest.mark.usefixtures("without_tensorboard")
def test_later_steps_are_removed_on_resuming(tmp_path: Path) -> None:
    write(tmp_path, 0, 10, 20, 30)
    before = read_history(tmp_path / HISTORY_FILE)
    write(tmp_path, 20, 25)
    assert steps_of(tmp_path) == [10, 20, 25]
    assert read_history(tmp_path / HISTORY_FILE)[:-8] == [row for row in before if row.step <= 20]


@pytest.mark.usefixtures("without_tensorboard")
def test_a_new_training_starts_a_new_history(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_bytes(b"\xff anything")
    write(tmp_path, 0, 5)
    assert steps_of(tmp_path) == [5]


@pytest.mark.usefixtures("without_tensorboard")
@pytest.mark.parametrize("lost", [1, 2, 10, 30])
def test_a_killed_training_loses_no_more_than_its_last_line(tmp_path: Path, lost: int) -> None:
    write(tmp_path, 0, 10, 20)
    path = tmp_path / HISTORY_FILE
    whole = read_history(path)
    path.write_bytes(path.read_bytes()[:-lost])
    left = read_history(path)
    assert left == whole[: len(left)]
    assert len(left) >= len(whole) - 1 - lost // 20
    write(tmp_path, 20, 30)
    assert read_history(path)[: len(left)] == left
    assert steps_of(tmp_path) == [10, 20, 30]


@pytest.mark.usefixtures("without_tensorboard")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with ''"),
        (b"song,time\n", "begins with 'song,time'"),
        (b"step,set,name,value\n1,training,loss\n", "line 2 is damaged"),
        (b"step,set,name,value\n1,training,loss,1\n\0\0\n", "line 3 is damaged"),
        (b"step,set,name,value\nfew,training,loss,1\n", "line 2 is damaged"),
        (b"\xff\n", "decode"),
        (b"step,set,name,value\n1,training,lo\rss,1\n", "new-line"),
    ],
)
def test_a_file_that_is_not_a_history_is_refused_and_not_changed(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / HISTORY_FILE
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=message) as caught:
        Summaries(tmp_path, 1)
    assert HISTORY_FILE in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.usefixtures("without_tensorboard")
def test_files_that_cannot_be_read_or_written_are_reported_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot read .*history\.csv: No such file"):
        read_history(tmp_path / HISTORY_FILE)
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot write .*file"):
        Summaries(tmp_path / "file", 0)
    (tmp_path / HISTORY_FILE).mkdir()
    with pytest.raises(TrainingError, match=r"cannot write .*history\.csv: it exists and is not a file"):
        Summaries(tmp_path, 0)


@pytest.mark.usefixtures("without_tensorboard")
def test_a_write_that_fails_is_reported_once_in_a_line(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_beyond(n_bytes: int) -> None:
        with Summaries(tmp_path, 0) as summaries:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
            summaries.training(1, LOSSES, 1.0, 0.0)

    try:
        with pytest.raises(TrainingError, match=r"^cannot write .*history\.csv: File too large") as caught:
            write_beyond(40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)


def accumulated(folder: Path) -> Any:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = module.EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_tensorboard_reads_curves_spectrograms_and_audio(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with Summaries(tmp_path, 0) as summaries:
        assert summaries.takes_examples
        summaries.training(5, LOSSES, 2.5, 0.125)
        summaries.validation(5, LOSSES)
        magnitudes = {"mix": np.ones((2, 12, 1024), np.float32), "vocals": np.full((2, 12, 1024), 1e-3, np.float32)}
        waveforms = {"mix": np.full((2, 400), 2.0, np.float32), "vocals": np.full((2, 400), math.nan, np.float32)}
        summaries.example(5, Example(magnitudes, waveforms, 8000))
    read = accumulated(tmp_path)
    losses = {"loss": 0.375, "loss/vocals": 0.125, "loss/drums": 0.25}
    expected = {f"{part}/{name}": value for part in ("training", "validation") for name, value in losses.items()}
    expected |= {"training/steps_per_second": 2.5, "training/data_wait": 0.125}
    assert {tag: read.Scalars(tag)[0].value for tag in read.Tags()["scalars"]} == pytest.approx(expected)
    assert all(read.Scalars(tag)[0].step == 5 for tag in expected)
    names = ["validation/example/mix", "validation/example/vocals"]
    assert read.Tags()["images"] == read.Tags()["audio"] == names
    images = [read.Images(name)[0] for name in names]
    assert [(image.width, image.height, image.step) for image in images] == [(12, 512, 5)] * 2
    assert images[0].encoded_image_string != images[1].encoded_image_string  # the same scale for both
    audio = read.Audio(names[0])[0]
    assert (audio.sample_rate, audio.length_frames, audio.content_type) == (8000, 400, "audio/wav")


def test_tensorboard_hides_later_steps_on_resuming(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    write(tmp_path, 0, 10, 20, 30)
    first = next(tmp_path.glob("events*"))
    first.rename(first.with_name("events.out.tfevents.0000000001"))  # files are read by the seconds in their names
    write(tmp_path, 20, 25)
    assert [event.step for event in accumulated(tmp_path).Scalars("training/loss")] == [10, 20, 25]
