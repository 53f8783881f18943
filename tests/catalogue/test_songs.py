"""Files and folders stand for songs, each once."""

import os
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from spleeter.catalogue import songs
from spleeter.catalogue.songs import Failure
from spleeter.errors import DecodeError
from spleeter.types import Waveform

NOWHERE = Path("/nowhere")


def find_songs(inputs: list[Path], destination: Path | None = NOWHERE) -> tuple[list[Path], list[Failure]]:
    found = songs.find_songs(inputs, destination)
    return [song.path for song in found.songs], found.failures


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def encode(path: Path, container: str, codec: str, waveform: Waveform) -> None:
    """Write a file of any kind that FFmpeg can write, whatever its name."""
    with av.open(str(path), "w", container) as output:
        stream = output.add_stream(codec, rate=44100, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray((waveform.reshape(1, -1) * 32767).astype(np.int16), "s16", "stereo")
        frame.sample_rate = 44100
        for part in av.AudioResampler(stream.format, "stereo", 44100, stream.frame_size or 0).resample(frame):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))


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


def test_without_an_output_folder_nothing_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command's output goes through a pipe, the current folder is like any other."""
    song = touch(tmp_path / "album" / "a.wav")
    monkeypatch.chdir(song.parent)
    assert find_songs([tmp_path], None) == ([song], [])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    (tmp_path / "locked").mkdir(mode=0o000)
    found, failures = find_songs([tmp_path])
    assert found == [song]
    assert [failure.reason for failure in failures] == [f"{tmp_path / 'locked'}: Permission denied"]


def test_whether_a_song_was_named_is_remembered(tmp_path: Path) -> None:
    named, walked = touch(tmp_path / "a.wav"), touch(tmp_path / "folder" / "b.wav")
    found = songs.find_songs([named, tmp_path / "folder"], NOWHERE)
    assert found.songs == [songs.Song(named, is_named=True), songs.Song(walked, is_named=False)]


def test_files_of_a_folder_are_songs_by_what_they_hold(tmp_path: Path, music: Waveform) -> None:
    """Extensions that no list knows, and none at all."""
    kinds = [
        ("a.wave", "wav", "pcm_s16le"),
        ("b.W64", "w64", "pcm_s16le"),
        ("c.m4b", "mp4", "aac"),
        ("d.mpga", "mp3", "libmp3lame"),
        ("e.adts", "adts", "aac"),
        ("f.mts", "mpegts", "mp2"),
        ("g.ts", "mpegts", "aac"),
        ("h.amb", "aiff", "pcm_s16be"),
        ("i", "matroska", "pcm_s16le"),
        ("j.nut", "nut", "pcm_s16le"),
    ]
    for name, container, codec in kinds:
        encode(tmp_path / name, container, codec, music)
    assert find_songs([tmp_path]) == ([tmp_path / name for name, *_ in kinds], [])


def test_files_without_audio_are_counted(tmp_path: Path, music: Waveform) -> None:
    touch(tmp_path / "song.wav")
    others = {
        "cover.jpg": b"\xff\xd8\xff\xe0" + bytes(1000),
        "back.JPG": b"\xff\xd8\xff\xe1" + bytes(1000),
        "notes.txt": "schön".encode() * 200,
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nsong.wav\n",
        "main.ts": b"let a = 1;\n",
        "book.pdf": b"%PDF-1.7\n" + bytes(500),
        "empty.dat": b"",
        "zip.zip": b"PK\x03\x04" + bytes(500),
        "Makefile": b"all:\n",
        "cut.utf8": "é".encode() * 255 + b"a\xc3\xa9",
        "latin.nfo": b"\xe9\n" * 400,
        "noise.bin": np.random.default_rng(0).bytes(100_000),
        "zeros.bin": bytes(100_000),
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    found = songs.find_songs([tmp_path], NOWHERE)
    assert [song.path for song in found.songs] == [tmp_path / "song.wav"]
    assert found.failures == []
    assert found.left_out == Counter(Path(name).suffix.lower() for name in others)


@pytest.mark.skipif(os.name == "nt", reason="POSIX special files")
@pytest.mark.timeout(20)
def test_pipes_and_devices_of_a_folder_are_not_opened(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless.mp3").symlink_to("/dev/zero")
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert find_songs([tmp_path]) == ([song], [])


def test_a_link_to_nowhere_fails_if_it_has_a_song_s_name(tmp_path: Path) -> None:
    song = touch(tmp_path / "a.wav")
    (tmp_path / "gone.mp3").symlink_to("nothing")
    (tmp_path / "gone.lock").symlink_to("nothing")
    found, failures = find_songs([tmp_path])
    assert found == [song]
    assert [failure.reason for failure in failures] == [f"{tmp_path / 'gone.mp3'}: No such file or directory"]


def test_a_large_folder_is_quick(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number:05}.mp3").touch()
        (tmp_path / f"{number:05}.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    start = time.process_time()
    assert len(songs.find_songs([tmp_path], NOWHERE).songs) == 2000
    assert time.process_time() - start < 2  # it takes a tenth of this


def test_an_impossible_name_is_a_failure() -> None:
    _, failures = find_songs([Path("a\0b.mp3")])
    assert len(failures) == 1


def test_check_song_leaves_file_objects_where_they_stood(tmp_path: Path, song: Path) -> None:
    with song.open("rb") as file:
        songs.check_song(file)
        assert file.tell() == 0
    songs.check_song(song, 0)
    with pytest.raises(DecodeError, match="no audio stream 1"):
        songs.check_song(song, 1)
    with pytest.raises(DecodeError, match="No such file"):
        songs.check_song(tmp_path / "missing")
