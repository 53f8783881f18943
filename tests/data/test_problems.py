"""Everything that can be wrong with a data set: each problem is reported where it is, and all of them together."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from spleeter.configuration import Configuration
from spleeter.data.inspection import inspect_songs, shared_songs
from spleeter.data.problems import Problem, Severity, log_problems
from spleeter.data.song_list import read_song_list
from tests.data.songs import configuration, write_songs

ERROR, DISCARDED, WARNING = Severity.ERROR, Severity.DISCARDED, Severity.WARNING

Spoil = Callable[[Path], object]
"""Damages the data set in a folder: songs.csv, and song0/vocals.wav ..."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_songs(tmp_path)
    return tmp_path


def problems_of(folder: Path, settings: Configuration | None = None) -> list[Problem]:
    """The problems of the list and its songs."""
    settings = settings or configuration()
    songs, problems = read_song_list(folder / "songs.csv", settings)
    inspected = inspect_songs(songs, settings)
    pairs = [(each.song, each.inspection) for each in inspected if each.inspection is not None]
    return [*problems, *(problem for each in inspected for problem in each.problems), *shared_songs(pairs, [])]


def written(*lines: str) -> Spoil:
    return lambda folder: (folder / "songs.csv").write_text("\n".join(lines) + "\n")


def line(text: str) -> Spoil:
    """Replace the first song's line."""

    def spoil(folder: Path) -> None:
        lines = (folder / "songs.csv").read_text().splitlines()
        lines[1] = text
        (folder / "songs.csv").write_text("\n".join(lines) + "\n")

    return spoil


def audio(name: str, samples: np.ndarray, rate: int = 8000) -> Spoil:
    return lambda folder: soundfile.write(folder / "song0" / f"{name}.wav", samples, rate, subtype="FLOAT")


def noise(seconds: float = 4.0, channels: int = 2) -> np.ndarray:
    samples: np.ndarray = 0.1 * np.random.default_rng(0).standard_normal((round(8000 * seconds), channels))
    return samples


def not_a_number() -> np.ndarray:
    samples = noise()
    samples[12000] = np.nan
    return samples


def both_silent(folder: Path) -> None:
    for name in ("vocals", "accompaniment"):
        audio(name, np.zeros((32000, 2)))(folder)


def both_short(folder: Path) -> None:
    for name in ("vocals", "accompaniment"):
        audio(name, noise(0.3))(folder)
    line("song0/vocals.wav,song0/accompaniment.wav,0.3")(folder)


def truncated(folder: Path) -> None:
    path = folder / "song0" / "vocals.wav"
    path.write_bytes(path.read_bytes()[:30])


def half_there(folder: Path) -> None:
    path = folder / "song0" / "vocals.wav"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def copied(folder: Path) -> None:
    for name in ("vocals", "accompaniment"):
        (folder / "song1" / f"{name}.wav").write_bytes((folder / "song0" / f"{name}.wav").read_bytes())


def replaced_by_folder(folder: Path) -> None:
    (folder / "song0" / "vocals.wav").unlink()
    (folder / "song0" / "vocals.wav").mkdir()


def list_replaced_by_folder(folder: Path) -> None:
    (folder / "songs.csv").unlink()
    (folder / "songs.csv").mkdir()


HEADER = "vocals_path,accompaniment_path,duration"
STEMS = "song0/vocals.wav,song0/accompaniment.wav"
SONG = "songs.csv, line 2 (song0)"

KINDS: dict[str, tuple[Spoil, Severity, str, str]] = {
    "no such list": (lambda f: (f / "songs.csv").unlink(), ERROR, "songs.csv", "cannot be read: No such file"),
    "a folder for a list": (
        list_replaced_by_folder,
        ERROR,
        "songs.csv",
        "cannot be read: Is a directory",
    ),
    "not UTF-8": (
        lambda f: (f / "songs.csv").write_bytes(HEADER.encode() + b"\nsong0/vocals.wav,Caf\xe9.wav,4\n"),
        ERROR,
        "songs.csv, line 2 (vocals)",
        "Caf\\udce9.wav'; the list is not UTF-8: save it as UTF-8",
    ),
    "a spreadsheet's own format": (
        lambda f: (f / "songs.csv").write_bytes(b"PK\x03\x04\x00\x00"),
        ERROR,
        "songs.csv",
        "is no text; save it as CSV, in UTF-8",
    ),
    "half a UTF-16 character": (
        lambda f: (f / "songs.csv").write_bytes(HEADER.encode("utf-16")[:-1]),
        ERROR,
        "songs.csv",
        "cannot be read: 'utf-16",
    ),
    "an empty list": (written(""), ERROR, "songs.csv", "is empty"),
    "a header alone": (written(HEADER), ERROR, "songs.csv", "lists no songs"),
    "no column for a stem": (
        written("vocal_path,accompaniment_path", STEMS),
        ERROR,
        "songs.csv",
        "has no column vocals_path; is it 'vocal_path'?",
    ),
    "a column twice": (
        written(f"{HEADER},vocals_path", f"{STEMS},4,x"),
        ERROR,
        "songs.csv",
        "has the column vocals_path twice",
    ),
    "too few cells": (
        line("song0/vocals.wav"),
        ERROR,
        "songs.csv, line 2 (vocals)",
        "has no accompaniment_path",
    ),
    "too many cells": (line(f"{STEMS},4,5"), ERROR, "songs.csv, line 2", "has 4 cells, but the header 3"),
    "a mixture by another name": (
        written("mixture_path,vocals_path,accompaniment_path", f"song0/vocals.wav,{STEMS}"),
        WARNING,
        "songs.csv",
        "has no column mix_path (mix_name), and does not use mixture_path: the mixture is the sum of the stems",
    ),
    "an empty cell": (
        line(",song0/accompaniment.wav,4"),
        ERROR,
        "songs.csv, line 2 (accompaniment)",
        "has no vocals_path",
    ),
    "nan for a path": (
        line("nan,song0/accompaniment.wav,4"),
        ERROR,
        "songs.csv, line 2 (accompaniment)",
        "has no vocals_path",
    ),
    "words for a duration": (line(f"{STEMS},4 min"), ERROR, SONG, "its duration is '4 min', not a number"),
    "no duration at all": (line(f"{STEMS},-1"), ERROR, SONG, "its duration is '-1', not a number of seconds"),
    "a duration beyond the audio": (line(f"{STEMS},400"), ERROR, SONG, "is listed as 400 s, but it is 4.00 s long"),
    "a missing file": (
        lambda f: (f / "song0" / "vocals.wav").unlink(),
        ERROR,
        SONG,
        "vocals_path: there is no file",
    ),
    "a folder for a file": (replaced_by_folder, ERROR, SONG, "vocals_path is a folder"),
    "not audio": (lambda f: (f / "song0" / "vocals.wav").write_bytes(b"text"), ERROR, SONG, "vocals: "),
    "the head of a file alone": (truncated, ERROR, SONG, "vocals: "),
    "half a file": (half_there, ERROR, SONG, "its files differ in length: vocals 2.00, accompaniment 4.00 s"),
    "a stem of another length": (
        audio("vocals", noise(3.0)),
        ERROR,
        SONG,
        "differ in length: vocals 3.00, accompaniment 4",
    ),
    "NaN samples": (
        audio("vocals", not_a_number()),
        ERROR,
        SONG,
        "NaN or infinite samples, from 1.5",
    ),
    "all stems silent": (both_silent, ERROR, SONG, "all its stems are silent"),
    "one file for two stems": (
        line("song0/vocals.wav,song0/vocals.wav,4"),
        ERROR,
        "songs.csv, line 2 (vocals)",
        "vocals and accompaniment are the same file",
    ),
    "a song twice": (
        line("song1/vocals.wav,song1/accompaniment.wav,4"),
        ERROR,
        "songs.csv, line 3 (song1)",
        "is the same song as ",
    ),
    "mono": (audio("vocals", noise(channels=1)), WARNING, SONG, "vocals.wav has 1 channel: copied to 2"),
    "six channels": (
        audio("vocals", noise(channels=6)),
        WARNING,
        SONG,
        "vocals.wav has 6 channels: mixed down or cut",
    ),
    "a few samples less": (
        audio("vocals", noise()[:-5]),
        WARNING,
        SONG,
        "its files differ in length by 0.62 ms: cut to the shortest, 3.999 s",
    ),
    "too short": (both_short, DISCARDED, SONG, "it is 0.30 s long, and a segment of T = 64 frames 0.54 s"),
    "a silent stem": (audio("vocals", np.zeros((32000, 2))), WARNING, SONG, "silent throughout: vocals"),
    "another sample rate": (
        audio("vocals", np.repeat(noise(), 2, axis=0), 16000),
        WARNING,
        SONG,
        "will be resampled from 16000 to 8000 Hz",
    ),
    "the same audio under two names": (
        copied,
        WARNING,
        "songs.csv, line 3 (song1)",
        "its audio is the same as that of ",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_problem_is_reported_where_it_is(kind: str, folder: Path) -> None:
    spoil, severity, place, what = KINDS[kind]
    spoil(folder)
    problems = problems_of(folder)
    (problem,) = [problem for problem in problems if problem.severity is severity]
    assert problem.place.endswith(place)
    assert what in problem.message
    assert "\n" not in str(problem)
    assert problems == [problem], "one thing wrong is one line"


def test_a_good_data_set_has_no_problems(folder: Path) -> None:
    assert problems_of(folder) == []


def test_all_problems_are_reported_together(folder: Path) -> None:
    write_songs(folder, 6)
    (folder / "song0" / "vocals.wav").unlink()
    truncated_song = folder / "song1" / "vocals.wav"
    truncated_song.write_bytes(b"RIFF")
    soundfile.write(folder / "song2" / "vocals.wav", not_a_number(), 8000, subtype="FLOAT")
    soundfile.write(folder / "song3" / "vocals.wav", noise(channels=1), 8000)
    soundfile.write(folder / "song4" / "vocals.wav", np.zeros((32000, 2)), 8000)
    problems = problems_of(folder)
    by_severity = [sum(problem.severity is severity for problem in problems) for severity in Severity]
    assert by_severity == [3, 0, 2]


def test_the_same_audio_for_training_and_validation_is_an_error(folder: Path) -> None:
    copied(folder)
    settings = configuration()
    songs, _ = read_song_list(folder / "songs.csv", settings)
    first, second, third = [(each.song, each.inspection) for each in inspect_songs(songs, settings)]
    assert first[1] is not None
    assert second[1] is not None
    assert third[1] is not None
    (problem,) = shared_songs([(first[0], first[1]), (third[0], third[1])], [(second[0], second[1])])
    assert problem.severity is ERROR
    assert problem.place == f"{folder / 'songs.csv'}, line 2 (song0)"
    assert "a song to validate on must not be trained on" in problem.message


def test_a_long_log_is_cut_and_songs_left_out_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log_problems(
        [Problem(ERROR, f"line {n}", "is bad") for n in range(60)] + [Problem(DISCARDED, "line 99", "is mono")]
    )
    assert "... and 10 more of this kind" in caplog.text
    assert "1 song is left out:" in caplog.text
    assert len(caplog.records) == 50 + 1 + 2


def test_the_command_reports_all_problems_and_fails(folder: Path, tmp_path: Path) -> None:
    from spleeter.cli.main import app

    (folder / "song0" / "vocals.wav").unlink()
    (folder / "song1" / "vocals.wav").write_bytes(b"not audio")
    config = tmp_path / "config.json"
    config.write_text(configuration(train_csv=str(folder / "songs.csv")).to_json())
    result = CliRunner().invoke(app, ["dataset", "check", "-p", str(config)])
    assert result.exit_code == 1
    assert "songs.csv: 1 song, 0.1 minutes\n" in result.output
    assert "fit for use" not in result.output
    assert "songs.csv, line 2 (song0): vocals_path: there is no file" in result.stderr
    assert "songs.csv, line 3 (song1): vocals:" in result.stderr
    assert "2 problems in all" in result.stderr
