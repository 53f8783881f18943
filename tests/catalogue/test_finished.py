"""Outputs that are missing, incomplete or too short are made again, all others are kept."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.catalogue.finished import output_flaw, unfinished_jobs
from spleeter.catalogue.jobs import Job
from spleeter.pipeline.paths import PLOT
from tests.audio.pictures import picture
from tests.utils.leftovers import leave_hidden_folder


@pytest.fixture
def done(tmp_path: Path) -> Job:
    """A song of two seconds in FLAC, and its stems and plot."""
    outputs = {name: tmp_path / "song" / f"{name}.wav" for name in ("vocals", "drums")}
    job = Job(tmp_path / "song.flac", {**outputs, PLOT: tmp_path / "song" / "spectrograms.png"})
    (tmp_path / "song").mkdir()
    for path in (job.song, *outputs.values()):
        soundfile.write(path, np.full((88_200, 2), 0.1), 44_100)
    job.outputs[PLOT].write_bytes(picture("png"))
    return job


def test_a_job_is_done_when_every_output_is_there(done: Job) -> None:
    assert unfinished_jobs([done]) == []
    for path in done.outputs.values():
        content = path.read_bytes()
        path.unlink()
        assert unfinished_jobs([done]) == [done]
        path.write_bytes(content)
    assert unfinished_jobs([done]) == []


@pytest.mark.parametrize("name", ["vocals", "drums", PLOT])
def test_an_output_that_is_empty_cut_off_or_something_else_is_not_done(done: Job, name: str) -> None:
    content = done.outputs[name].read_bytes()
    for damaged in (b"", content[:20], content[: len(content) // 2], content[:-1], b"text" * 1_000):
        done.outputs[name].write_bytes(damaged)
        assert unfinished_jobs([done]) == [done]
        assert done.outputs[name].name in str(output_flaw(done))


def test_stems_that_are_shorter_than_each_other_or_the_song_are_not_done(done: Job) -> None:
    short = np.full((44_100, 2), 0.1)
    soundfile.write(done.outputs["drums"], short, 44_100)
    assert output_flaw(done) == f"{done.outputs['drums']} is 1.0 s long, not 2.0 s"
    soundfile.write(done.outputs["vocals"], short, 44_100)
    assert output_flaw(done) == f"{done.outputs['vocals']} is 1.0 s long, not 2.0 s"
    assert output_flaw(done, duration=1.0) is None
    assert output_flaw(done, offset=1.0) is None
    assert output_flaw(done, offset=0.5) is not None


def test_stems_of_a_song_that_is_damaged_or_gone_are_done(done: Job) -> None:
    """Its header may promise more than there was to separate."""
    for path in (done.outputs["vocals"], done.outputs["drums"]):
        soundfile.write(path, np.full((44_100, 2), 0.1), 44_100)
    content = done.song.read_bytes()
    for damaged in (content[: len(content) // 2], b""):
        done.song.write_bytes(damaged)
        assert unfinished_jobs([done]) == []
    done.song.unlink()
    assert unfinished_jobs([done]) == []


def test_what_is_not_complete_is_separated_again_and_named_once(done: Job, caplog: pytest.LogCaptureFixture) -> None:
    missing = Job(done.song, {"vocals": done.song.parent / "missing.wav"})
    leave_hidden_folder(done.song.parent / "song")
    with caplog.at_level(logging.WARNING, "spleeter"):
        assert unfinished_jobs([missing, done, missing]) == [missing, missing]
        assert not caplog.records
        done.outputs["drums"].write_bytes(b"")
        assert unfinished_jobs([missing, done, done]) == [missing, done, done]
    assert [record.message for record in caplog.records] == [
        f"separating 2 songs again: {done.outputs['drums']} is not a complete audio file: it is empty; 1 more"
    ]
    assert sorted(path.name for path in (done.song.parent / "song").iterdir()) == sorted(
        path.name for path in done.outputs.values()
    )
