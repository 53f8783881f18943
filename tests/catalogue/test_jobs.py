"""Conflicts are found before any work; a failing song fails alone."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.catalogue.jobs import Job, plan_jobs, run_jobs, songs_in_parallel, unfinished_jobs
from spleeter.catalogue.songs import Song
from spleeter.errors import DecodeError, OutputError
from spleeter.pipeline.options import Output
from spleeter.pipeline.paths import PLOT
from tests.audio.pictures import picture
from tests.utils.leftovers import leave_hidden_folder

FORMAT = "{filename}/{instrument}.{codec}"


def jobs(
    songs: list[str], filename_format: str = FORMAT, destination: str = "out", is_named: bool = True
) -> list[Job]:
    found = [Song(Path(song), is_named) for song in songs]
    return plan_jobs(found, Path(destination), Output(filename_format=filename_format), ("vocals", "drums"))


def test_every_song_has_its_own_outputs() -> None:
    planned = jobs(["a/x.mp3", "b/y.mp3"])
    paths = [path for job in planned for path in job.outputs.values()]
    assert len(set(paths)) == 4
    assert planned[1].outputs["drums"] == Path("out/y/drums.wav")


@pytest.mark.parametrize("songs", [["a/x.mp3", "b/x.mp3"], ["x.mp3", "x.flac"], ["x.mp3", "y.wav", "./x.ogg"]])
def test_two_songs_may_not_write_one_path(songs: list[str]) -> None:
    with pytest.raises(OutputError, match=r"would both write out/x/vocals\.wav.*foldername"):
        jobs(songs)


def test_the_folder_name_resolves_the_conflict() -> None:
    assert len(jobs(["a/x.mp3", "b/x.mp3"], "{foldername}/{filename}/{instrument}.{codec}")) == 2


def test_conflicts_are_found_for_different_spellings_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").symlink_to(tmp_path / "x")
    with pytest.raises(OutputError, match="both write"):
        jobs(["x/song.mp3", "y/song.mp3"], "{foldername}/{filename}-{instrument}.{codec}", str(tmp_path))


def test_no_input_is_overwritten() -> None:
    with pytest.raises(OutputError, match=r"overwrite the input .*vocals\.wav"):
        jobs(["music/vocals.wav"], "{instrument}.{codec}", destination="music")


def test_outputs_of_a_song_in_the_same_folder_are_no_songs() -> None:
    songs = ["music/a.wav", "music/a/vocals.wav", "music/a/drums.wav", "music/b.wav"]
    planned = jobs(songs, destination="music", is_named=False)
    assert [str(job.song) for job in planned] == ["music/a.wav", "music/b.wav"]
    with pytest.raises(OutputError, match="overwrite the input"):
        jobs(songs, destination="music", is_named=True)


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
    assert done.is_done
    for path in done.outputs.values():
        content = path.read_bytes()
        path.unlink()
        assert not done.is_done
        path.write_bytes(content)
    assert done.is_done


@pytest.mark.parametrize("name", ["vocals", "drums", PLOT])
def test_an_output_that_is_empty_cut_off_or_something_else_is_not_done(done: Job, name: str) -> None:
    content = done.outputs[name].read_bytes()
    for damaged in (b"", content[:20], content[: len(content) // 2], content[:-1], b"text" * 1_000):
        done.outputs[name].write_bytes(damaged)
        assert done.exists
        assert not done.is_done
        assert done.outputs[name].name in str(done.flaw())


def test_stems_that_are_shorter_than_each_other_or_the_song_are_not_done(done: Job) -> None:
    short = np.full((44_100, 2), 0.1)
    soundfile.write(done.outputs["drums"], short, 44_100)
    assert done.flaw() == f"{done.outputs['drums']} is 1.0 s long, not 2.0 s"
    soundfile.write(done.outputs["vocals"], short, 44_100)
    assert done.flaw() == f"{done.outputs['vocals']} is 1.0 s long, not 2.0 s"
    assert done.flaw(duration=1.0) is None
    assert done.flaw(offset=1.0) is None
    assert done.flaw(offset=0.5) is not None


def test_stems_of_a_song_that_is_damaged_or_gone_are_done(done: Job) -> None:
    """Its header may promise more than there was to separate."""
    for path in (done.outputs["vocals"], done.outputs["drums"]):
        soundfile.write(path, np.full((44_100, 2), 0.1), 44_100)
    content = done.song.read_bytes()
    for damaged in (content[: len(content) // 2], b""):
        done.song.write_bytes(damaged)
        assert done.is_done
    done.song.unlink()
    assert done.is_done


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


def test_a_failing_song_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Path] = []

    def separate(job: Job) -> None:
        if job.song.name == "broken.mp3":
            raise DecodeError("broken.mp3 is\n no audio file")
        if job.song.name == "bug.mp3":
            raise ZeroDivisionError("oops")
        done.append(job.song)

    with caplog.at_level(logging.ERROR, "spleeter"):
        failures = run_jobs(jobs(["a.mp3", "broken.mp3", "bug.mp3", "z.mp3"]), separate)
    assert done == [Path("a.mp3"), Path("z.mp3")]
    assert [failure.reason for failure in failures] == [
        "broken.mp3 is no audio file",
        "bug.mp3: unexpected ZeroDivisionError: oops",
    ]
    assert len(caplog.records) == 2


def test_several_songs_in_parallel() -> None:
    all_begun = threading.Barrier(3)  # passed only if three run at the same time

    def separate(job: Job) -> None:
        all_begun.wait(10)
        if job.song.name in ("b.mp3", "f.mp3"):
            raise DecodeError(f"{job.song} is no audio file")

    failures = run_jobs(jobs([f"{name}.mp3" for name in "abcdef"]), separate, n_parallel=3)
    assert [failure.song.name for failure in failures] == ["b.mp3", "f.mp3"]


@pytest.mark.parametrize("n_parallel", [1, 2])
def test_an_interruption_stops_the_batch(n_parallel: int) -> None:
    begun: list[str] = []

    def interrupt(job: Job) -> None:
        begun.append(job.song.name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs([f"{number}.mp3" for number in range(100)]), interrupt, n_parallel)
    assert len(begun) < 100


def test_a_cpu_separates_one_song_at_a_time_and_a_gpu_several() -> None:
    assert songs_in_parallel("cpu") == 1
    assert 2 <= songs_in_parallel("cuda") <= 8
