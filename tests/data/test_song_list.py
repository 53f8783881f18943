"""Lists of songs: what is read is what was written, by this package, the original, a spreadsheet or musdb."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from spleeter.configuration import Configuration
from spleeter.data.song_list import ListedSong, read_song_list, songs_from_tracks, write_song_list
from spleeter.data.tracks import AudioSource, Track
from spleeter.errors import DatasetError
from tests.data.songs import configuration

SETTINGS = configuration()
NAMES = ("vocals", "accompaniment", "mix", "drums")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with empty files of two songs, one with a name in several scripts."""
    for song in ("Sodium", "Ça va – 日本"):
        (tmp_path / "songs" / song).mkdir(parents=True)
        for name in NAMES:
            (tmp_path / "songs" / song / f"{name}.wav").touch()
    return tmp_path


def song(folder: Path, name: str, duration: float | None = 12.5) -> ListedSong:
    path = folder / "songs" / name
    sources = {
        "vocals": (AudioSource(path / "vocals.wav"),),
        "accompaniment": (AudioSource(path / "accompaniment.wav"), AudioSource(path / "drums.wav")),
        "mix": (AudioSource(path / "mix.wav"),),
    }
    return ListedSong(name, name, sources, duration)


def read_text(folder: Path, text: str | bytes, data: Path | None = None) -> list[ListedSong]:
    path = folder / "songs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    songs, problems = read_song_list(path, SETTINGS, data)
    assert not problems, problems
    return songs


def test_a_written_list_reads_back(folder: Path) -> None:
    songs = [song(folder, "Sodium"), song(folder, "Ça va – 日本", None)]
    write_song_list(folder / "songs.csv", songs, SETTINGS)
    found, problems = read_song_list(folder / "songs.csv", SETTINGS)
    assert not problems
    assert [each.sources for each in found] == [each.sources for each in songs]
    assert [each.duration for each in found] == [12.5, None]
    assert [each.name for each in found] == ["Sodium", "Ça va – 日本"]
    assert found[1].place == f"{folder / 'songs.csv'}, line 3 (Ça va – 日本)"


def test_paths_below_the_list_are_relative_so_that_both_can_be_moved(folder: Path) -> None:
    write_song_list(folder / "songs.csv", [song(folder, "Sodium")], SETTINGS)
    assert (folder / "songs.csv").read_text().splitlines()[1] == (
        "songs/Sodium/mix.wav,songs/Sodium/vocals.wav,songs/Sodium/accompaniment.wav|songs/Sodium/drums.wav,12.500"
    )
    (folder / "elsewhere").mkdir()
    write_song_list(folder / "elsewhere" / "songs.csv", [song(folder, "Sodium")], SETTINGS)
    assert str(folder / "songs" / "Sodium" / "mix.wav") in (folder / "elsewhere" / "songs.csv").read_text()


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfvocals_path,accompaniment_path,duration\r\nSodium/vocals.wav,Sodium/drums.wav,3\r\n\r\n",
        b'duration, accompaniment_path ,vocals_path,genre\n3,"Sodium/drums.wav", Sodium/vocals.wav ,"a, b"\n',
        b"mix_path,vocals_path,accompaniment_path,duration\n\n,Sodium/vocals.wav,Sodium/drums.wav,3.0",
        b"vocals_path;accompaniment_path;duration\r\nSodium/vocals.wav;Sodium/drums.wav;3,0\r\n;;\r\n",
        b"sep=;\nvocals_path;accompaniment_path;duration\nSodium/vocals.wav;Sodium/drums.wav;3\n",
        "vocals_path\taccompaniment_path\tduration\r\nSodium/vocals.wav\tSodium/drums.wav\t3\r\n".encode("utf-16"),
        b"vocals_path,accompaniment_path,duration,,\rSodium/vocals.wav,Sodium/drums.wav,3,,,\r",
        b'vocals_path, accompaniment_path, duration\n"Sodium/vocals.wav", "Sodium/drums.wav", "3"\n',
        b",mix_path,vocals_path,accompaniment_path,duration\n0,NaN,Sodium\\vocals.wav,.\\Sodium\\drums.wav,3\n",
    ],
    ids=[
        "of a spreadsheet on Windows",
        "columns in another order, and others",
        "no mixture, no end of line",
        "semicolons and a decimal comma",
        "Excel's hint",
        "Excel's Unicode text",
        "empty cells at the end, and the ends of lines of old Macs",
        "quotes and spaces",
        "of pandas on Windows",
    ],
)
def test_variants_of_a_list_read_the_same(folder: Path, text: bytes) -> None:
    (found,) = read_text(folder, text, folder / "songs")
    path = folder / "songs" / "Sodium"
    assert found.sources == {
        "vocals": (AudioSource(path / "vocals.wav"),),
        "accompaniment": (AudioSource(path / "drums.wav"),),
    }
    assert found.duration == 3


@pytest.mark.parametrize("empty", ["", ",", ",nan", ",NaN", ",None", ",<NA>"])
def test_a_duration_may_be_missing(folder: Path, empty: str) -> None:
    text = f"vocals_path,accompaniment_path,duration\nSodium/vocals.wav,Sodium/drums.wav{empty}\n"
    (found,) = read_text(folder, text, folder / "songs")
    assert found.duration is None


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "songs"))
    (found,) = read_text(folder, "vocals_path,accompaniment_path\n~/Sodium/vocals.wav,~/Sodium/drums.wav\n")
    assert found.sources["vocals"] == (AudioSource(folder / "songs" / "Sodium" / "vocals.wav"),)


def test_names_of_files_that_are_not_utf_8_are_written_and_read(folder: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(folder / "songs") + b"/Caf\xe9.wav"))
    odd.touch()
    listed = song(folder, "Sodium", None)
    listed = replace(listed, sources={**listed.sources, "vocals": (AudioSource(odd),)})
    write_song_list(folder / "songs.csv", [listed], SETTINGS)
    (found,), problems = read_song_list(folder / "songs.csv", SETTINGS)
    assert not problems
    assert found.sources == listed.sources


def test_relative_paths_start_from_the_lists_folder_or_the_data_folder(folder: Path) -> None:
    text = "vocals_path,accompaniment_path\n{0}Sodium/vocals.wav,{0}Sodium/drums.wav\n"
    beside, below = read_text(folder, text.format("songs/")), read_text(folder, text.format(""), folder / "songs")
    absolute = read_text(folder, text.format(f"{folder}/songs/"), folder / "nowhere")
    assert beside[0].sources == below[0].sources == absolute[0].sources


def test_a_number_after_a_hash_is_an_audio_stream_unless_such_a_file_exists(folder: Path) -> None:
    for name in ("song.stem.mp4", "other#3"):
        (folder / name).touch()
    (found,) = read_text(folder, "vocals_path,accompaniment_path\nsong.stem.mp4#4,song.stem.mp4#1|other#3\n")
    assert found.sources["vocals"] == (AudioSource(folder / "song.stem.mp4", 4),)
    assert found.sources["accompaniment"] == (
        AudioSource(folder / "song.stem.mp4", 1),
        AudioSource(folder / "other#3"),
    )


def test_audio_streams_of_a_track_are_written(folder: Path) -> None:
    track = folder / "song.stem.mp4"
    track.touch()
    stems = {name: AudioSource(track, number) for number, name in enumerate(("drums", "bass", "other", "vocals"), 1)}
    songs, problems = songs_from_tracks([Track("song", "train", track, stems, AudioSource(track, 0))], SETTINGS)
    assert not problems
    write_song_list(folder / "songs.csv", songs, SETTINGS)
    assert (folder / "songs.csv").read_text().splitlines()[1] == (
        "song.stem.mp4#0,song.stem.mp4#4,song.stem.mp4#1|song.stem.mp4#2|song.stem.mp4#3,"
    )
    (found,), _ = read_song_list(folder / "songs.csv", SETTINGS)
    assert found.sources == songs[0].sources


def tracks(folder: Path, *names: str, mixture: bool = False) -> list[Track]:
    path = folder / "songs" / "Sodium"
    stems = {name: AudioSource(path / f"{name}.wav") for name in names}
    return [Track("Sodium", "train", path, stems, AudioSource(path / "mix.wav") if mixture else None)]


def test_a_mixture_is_listed_where_it_is_more_than_the_sum_of_the_instruments(folder: Path) -> None:
    drums = Configuration.load({**SETTINGS.to_dict(), "instrument_list": ["vocals", "drums"]})
    (all_used,), _ = songs_from_tracks(tracks(folder, "vocals", "drums"), drums)
    assert "mix" not in all_used.sources
    (one_left,), _ = songs_from_tracks(tracks(folder, "vocals", "drums", "bass"), drums)
    assert [source.path.stem for source in one_left.sources["mix"]] == ["vocals", "drums", "bass"]
    (own,), _ = songs_from_tracks(tracks(folder, "vocals", "drums", mixture=True), drums)
    assert [source.path.stem for source in own.sources["mix"]] == ["mix"]


def test_a_track_without_an_instrument_is_a_problem(folder: Path) -> None:
    songs, (problem,) = songs_from_tracks(tracks(folder, "drums", "bass"), SETTINGS)
    assert not songs
    assert str(problem) == "Sodium: has no vocals"


def test_a_path_with_a_separator_cannot_be_listed(folder: Path) -> None:
    odd = ListedSong(
        "a", "a", {"vocals": (AudioSource(folder / "a|b.wav"),), "accompaniment": (AudioSource(folder / "c"),)}, None
    )
    with pytest.raises(DatasetError, match="cannot hold a path with"):
        write_song_list(folder / "songs.csv", [odd], SETTINGS)
