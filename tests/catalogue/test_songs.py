"""Files and folders stand for songs, each once."""

import os
from pathlib import Path

import pytest

from spleeter.catalogue import songs
from spleeter.catalogue.songs import Failure

NOWHERE = Path("/nowhere")


def find_songs(inputs: list[Path], destination: Path = NOWHERE) -> tuple[list[Path], list[Failure]]:
    found, failures = songs.find_songs(inputs, destination)
    return [song.path for song in found], failures


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_folder_stands_for_the_audio_files_below_it_in_order(tmp_path: Path) -> None:
    expected = [touch(tmp_path / name) for name in ("a/01.MP3", "a/02.flac", "b/c/song – 曲.m4a", "video.mkv")]
    for other in ("cover.jpg", "notes.txt", ".hidden.wav", ".trash/old.wav", "a/.part.wav"):
        touch(tmp_path / other)
    found, failures = find_songs([tmp_path])
    assert found == expected
    assert failures == []


def test_a_named_file_may_have_any_extension(tmp_path: Path) -> None:
    song = touch(tmp_path / "recording.bin")
    assert find_songs([song]) == ([song], [])


def test_a_song_named_twice_is_one_song(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    again = tmp_path / "sub" / ".." / "a.wav"
    (tmp_path / "sub").mkdir()
    assert find_songs([song, again, tmp_path]) == ([song], [])


def test_missing_inputs_are_reported_and_the_others_kept(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    found, failures = find_songs([tmp_path / "missing.wav", song])
    assert found == [song]
    assert [failure.reason for failure in failures] == [f"{tmp_path / 'missing.wav'}: No such file or directory"]


def test_a_folder_without_songs_is_reported(tmp_path: Path) -> None:
    found, failures = find_songs([tmp_path])
    assert found == []
    assert [failure.reason for failure in failures] == [f"{tmp_path}: no audio files in this folder"]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert find_songs([tmp_path]) == ([song], [])


def test_the_output_folder_is_left_out(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    touch(tmp_path / "stems" / "a" / "vocals.wav")
    assert find_songs([tmp_path], tmp_path / "stems") == ([song], [])
    assert find_songs([tmp_path / "stems"], tmp_path / "stems") == ([tmp_path / "stems/a/vocals.wav"], [])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    (tmp_path / "locked").mkdir(mode=0o000)
    found, failures = find_songs([tmp_path])
    assert found == [song]
    assert [failure.reason for failure in failures] == [f"{tmp_path / 'locked'}: Permission denied"]


def test_whether_a_song_was_named_is_remembered(tmp_path: Path) -> None:
    named, walked = touch(tmp_path / "a.wav"), touch(tmp_path / "folder" / "b.wav")
    found, _ = songs.find_songs([named, tmp_path / "folder"], NOWHERE)
    assert found == [songs.Song(named, is_named=True), songs.Song(walked, is_named=False)]
