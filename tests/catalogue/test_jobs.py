"""Conflicts are found before any work; a failing song fails alone."""

import logging
import threading
from pathlib import Path

import pytest

from spleeter.catalogue.jobs import Job, plan_jobs, run_jobs, songs_in_parallel
from spleeter.catalogue.songs import Song
from spleeter.errors import DecodeError, OutputError
from spleeter.pipeline.options import Output

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
