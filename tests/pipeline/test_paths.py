"""Paths of a song's outputs, out of a format of file names."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from spleeter.audio.codec import Codec
from spleeter.errors import OutputError
from spleeter.pipeline.options import Output
from spleeter.pipeline.paths import PLOT, codec_of_format, output_paths, song_name


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

    def __str__(self) -> str:
        return f"file named {self.name}"


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


@pytest.mark.parametrize(
    "filename_format",
    ["../{instrument}.{codec}", "{filename}/../../{instrument}", "/tmp/{instrument}.wav", "{filename}/../.."],
)
@pytest.mark.parametrize("song", ["song.mp3", "../song.mp3", "..", "/", "a/../../song.mp3"])
def test_no_format_leads_out_of_the_output_folder(song: str, filename_format: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"leads out of the output folder.*below that folder"):
        output_paths(song, tmp_path, ["vocals"], Codec.WAV, filename_format)


@pytest.mark.parametrize(
    "song",
    ["song.mp3", "../song.mp3", "./song.mp3", "..", ".", "", "/", "//", "../..", "a/..", "/song.mp3", "C:\\song.mp3",
     "..\\..\\song.mp3", Path("..", "song.mp3"), Named(".."), Named("../../x.wav"), Named("/"), 17, {"a": "../b"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "filename_format",
    ["{foldername}/{filename}/{instrument}.{codec}", "{foldername}/{instrument}", "{filename}/{instrument}.wav"],
)
def test_no_name_leads_out_of_the_output_folder(song: object, filename_format: str, tmp_path: Path) -> None:
    (path,) = output_paths(song, tmp_path / "out", ["vocals"], Codec.WAV, filename_format).values()
    assert ".." not in path.parts
    assert path.resolve().is_relative_to((tmp_path / "out").resolve())


def test_the_folder_of_a_relative_path_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "album" / "disc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "album" / "disc")
    for song in ("../song.mp3", "../../album/song.mp3"):
        assert output_paths(song, "out", ["v"], "wav", "{foldername}/{instrument}")["v"] == Path("out/album/v.wav")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a\0b"])
def test_no_name_of_an_output_leads_out_of_the_output_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="leads out of the output folder"):
        output_paths("song.mp3", tmp_path, [name], Codec.WAV, "{instrument}.{codec}")


@pytest.mark.parametrize(
    ("filename_format", "codec", "named"),
    [
        ("{filename}/{instrument}.{codec}", None, "wav"),
        ("{filename}/{instrument}.{codec}", Codec.OGG, "ogg"),
        ("{instrument}.mp3", None, "mp3"),
        ("{instrument}.MP3", Codec.MP3, "mp3"),
        ("{codec}/{instrument}.flac", None, "flac"),
        ("{instrument}", Codec.OPUS, "opus"),
        ("{instrument} of Dr. No", None, "wav"),
        ("{filename}.{instrument}", None, "wav"),
    ],
)
def test_the_codec_follows_the_extension(filename_format: str, codec: Codec | None, named: str) -> None:
    assert codec_of_format(filename_format, codec) == named
    output = Output(filename_format=filename_format, codec=codec)
    (path,) = output.paths("song.wav", "out", ["vocals"]).values()
    assert path.suffix.lower() == f".{named}"


@pytest.mark.parametrize(
    ("filename_format", "codec", "message"),
    [
        ("{instrument}.mp3", Codec.WAV, r"ends in .mp3, but the codec is wav"),
        ("{instrument}.xyz", None, r"ends in .xyz, which is no extension of .wav, .mp3"),
        ("{instrument}.{codec}.bak", Codec.MP3, "ends in .bak"),
    ],
)
def test_other_extensions_are_refused(filename_format: str, codec: Codec | None, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        Output(filename_format=filename_format, codec=codec)


@pytest.mark.parametrize("filename_format", ["all.wav", "{filename}.{codec}", "I wanna be your lover"])
def test_stems_may_not_share_a_path(filename_format: str) -> None:
    with pytest.raises(OutputError, match=r"several stems one path.*instrument"):
        output_paths("song.mp3", "out", ["vocals", "drums"], Codec.WAV, filename_format)


@pytest.mark.parametrize(
    "filename_format", ["{artist}/{instrument}", "{instrument", "{}", "{instrument.x}", "{filename.__class__}", "{0}"]
)
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
