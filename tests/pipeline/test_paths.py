"""Paths of a song's outputs, out of a format of file names."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from spleeter.audio.codec import Codec
from spleeter.errors import OutputError
from spleeter.pipeline.options import Output
from spleeter.pipeline.paths import PLOT, output_paths, song_name


@pytest.mark.parametrize(
    ("song", "filename_format", "expected"),
    [
        ("music/song.mp3", "{filename}/{instrument}.{codec}", "song/vocals.flac"),
        ("music/song.mp3", "{foldername}/{filename}-{instrument}.{codec}", "music/song-vocals.flac"),
        ("song.mp3", "{foldername}{filename}.{instrument}.{codec}", "song.vocals.flac"),
        ("Ünïcode – 曲.tar.wav", "{filename}/{instrument}.{codec}", "Ünïcode – 曲.tar/vocals.flac"),
        ("https://host/a/b.mp3", "{foldername}/{filename}/{instrument}.{codec}", "a/b/vocals.flac"),
        (Path("music", "song.mp3"), "{foldername}/{filename}/{instrument}.{codec}", "music/song/vocals.flac"),
        (b"music/song.mp3", "{filename}/{instrument}.{codec}", "song/vocals.flac"),
    ],
)
def test_the_format_is_filled_in(song: object, filename_format: str, expected: str) -> None:
    paths = output_paths(song, "out", ["vocals", "drums"], Codec.FLAC, filename_format)
    assert list(paths) == ["vocals", "drums"]
    assert paths["vocals"] == Path("out", expected)


class Named(io.BytesIO):
    """A file object with a name, whatever that is: a path if it was opened by one, a number if by a descriptor."""

    def __init__(self, name: object) -> None:
        super().__init__()
        self.name = name


@pytest.mark.parametrize(
    ("song", "expected"),
    [
        (Named("music/song.mp3"), "music/song/vocals.wav"),
        (Named("upload"), "upload/vocals.wav"),
        (io.BytesIO(), "audio/vocals.wav"),
        (Named(3), "audio/vocals.wav"),
        (Named(""), "audio/vocals.wav"),
    ],
)
def test_a_file_object_is_named_by_its_name_or_audio(song: object, expected: str) -> None:
    paths = output_paths(song, "out", ["vocals"], Codec.WAV, "{foldername}/{filename}/{instrument}.{codec}")
    assert paths["vocals"] == Path("out", expected)
    assert song_name(song) == Path(expected).parent.name


def test_outputs_of_a_song_without_a_folder_stay_below_the_output_folder() -> None:
    paths = output_paths("song.mp3", "out", ["vocals"], Codec.WAV, "{foldername}/{filename}/{instrument}.{codec}")
    assert paths["vocals"] == Path("out", "song", "vocals.wav")


def test_an_opened_file_has_the_name_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"")
    with (tmp_path / "song.mp3").open("rb") as song:
        assert output_paths(song, "out", ["vocals"], "wav") == output_paths(song.name, "out", ["vocals"], "wav")


@pytest.mark.parametrize("filename_format", ["all.wav", "{filename}.{codec}", "I wanna be your lover"])
def test_stems_may_not_share_a_path(filename_format: str) -> None:
    with pytest.raises(OutputError, match=r"several stems one path.*instrument"):
        output_paths("song.mp3", "out", ["vocals", "drums"], Codec.WAV, filename_format)


@pytest.mark.parametrize("filename_format", ["{artist}/{instrument}", "{instrument", "{}", "{instrument.x}", "{0}"])
def test_unknown_fields_are_named_with_the_known_ones(filename_format: str) -> None:
    with pytest.raises(OutputError, match=r"fields are .*filename.*foldername.*instrument.*codec"):
        output_paths("song.mp3", "out", ["vocals"], Codec.WAV, filename_format)


@pytest.mark.parametrize(
    ("filename_format", "plot"),
    [
        ("{filename}/{instrument}.{codec}", "song feat. A/spectrograms.png"),
        ("{instrument} of {filename}.{codec}", "spectrograms of song feat. A.png"),
        ("{instrument}/{filename}.{codec}", "spectrograms/song feat. A.png"),
        ("{instrument} {filename}", "spectrograms song feat. A.png"),
        ("{instrument}.wav", "spectrograms.wav.png"),
    ],
)
def test_the_plot_follows_the_filename_format(filename_format: str, plot: str) -> None:
    output = Output(filename_format=filename_format, plot=True)
    paths = output.paths("song feat. A.wav", "out", ["vocals", "drums"])
    assert list(paths) == ["vocals", "drums", PLOT]
    assert paths[PLOT] == Path("out", plot)


@pytest.mark.parametrize(
    ("stems", "names"), [(None, ["vocals", "drums", "both"]), (["drums"], ["drums", "both"]), (["both"], ["both"])]
)
def test_paths_are_those_of_the_selected_outputs(stems: Sequence[str] | None, names: list[str]) -> None:
    output = Output(stems, {"both": ["vocals", "drums"]}, codec="flac")
    assert output.paths("song.mp3", "out", ["vocals", "drums"]) == {
        name: Path("out", "song", f"{name}.flac") for name in names
    }
