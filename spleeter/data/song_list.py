"""Lists of songs, as CSV files: one song a line, a column for the files of each stem.

    mix_path,vocals_path,accompaniment_path,duration
    Sodium/mix.wav,Sodium/vocals.wav,Sodium/drums.wav|Sodium/bass.wav|Sodium/other.wav,263.4

The format is the original's, extended: a cell may hold several files, whose sum is meant; a file may end in the
number of an audio stream, `song.stem.mp4#4`; the mixture may be missing, and is then the sum of the stems; so may the
duration.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from spleeter.configuration import Configuration
from spleeter.data.problems import Problem, Severity
from spleeter.data.tracks import AudioSource, Track
from spleeter.errors import DatasetError, EncodeError
from spleeter.utils.names import display_name
from spleeter.utils.whole_file import write_whole

__all__ = ["ListedSong", "read_song_list", "song_list_csv", "songs_from_tracks", "write_song_list"]

_SEPARATOR, _STREAM_MARK = "|", "#"
_DURATION = "duration"


@dataclass(frozen=True)
class ListedSong:
    """A song of a data set.

    Args:
        name: for messages; the folder or file that its stems lie in.
        place: where it is listed, such as "train.csv, line 7 (Sodium)".
        sources: of each instrument, and of the mixture if it has files of its own; several are to be summed.
        duration: in seconds, as listed; None if it is not.
    """

    name: str
    place: str
    sources: Mapping[str, tuple[AudioSource, ...]]
    duration: float | None


# Reading lists.


def read_song_list(
    list_csv: Path, configuration: Configuration, data: Path | None = None
) -> tuple[list[ListedSong], list[Problem]]:
    """Read a list of songs, and check all that can be checked without opening their files.

    Args:
        list_csv: in UTF-8.
        configuration: names the mixture and the instruments, and so the columns.
        data: folder that relative paths start from; None for the folder of the list.

    Returns:
        The songs without problems, and the problems of the others, or of the list.
    """
    name = display_name(list_csv)
    try:
        lines = list_csv.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [_error(name, f"byte {error.start} is not UTF-8; save it as UTF-8")]
    except OSError as error:
        return [], [_error(name, f"cannot be read: {error.strerror}")]
    rows = csv.reader(io.StringIO(lines, newline=""))
    try:
        header = [cell.strip() for cell in next((row for row in rows if row), [])]
        if found := list(_header_problems(name, header, configuration)):
            return [], found
        numbered = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        return [], [_error(f"{name}, line {rows.line_num}", f"is no line of a CSV file: {error}")]
    if not numbered:
        return [], [_error(name, "lists no songs")]
    return _songs(name, header, numbered, configuration, list_csv.parent if data is None else data)


def _songs(
    name: str, header: list[str], numbered: list[tuple[int, list[str]]], configuration: Configuration, folder: Path
) -> tuple[list[ListedSong], list[Problem]]:
    songs: list[ListedSong] = []
    problems: list[Problem] = []
    first_of: dict[object, str] = {}
    for line, row in numbered:
        place = f"{name}, line {line}"
        if len(row) != len(header):
            problems.append(_error(place, f"has {len(row)} cells, but the header {len(header)}"))
            continue
        song, found = _song(place, dict(zip(header, row, strict=True)), configuration, folder)
        files = tuple(song.sources.get(instrument) for instrument in configuration.instrument_list)
        if not found and (first := first_of.setdefault(files, song.place)) != song.place:
            found.append(_error(song.place, f"is the same song as {first}"))
        problems += found
        if not found:
            songs.append(song)
    return songs, problems


def _header_problems(name: str, header: Sequence[str], configuration: Configuration) -> Iterator[Problem]:
    if not header:
        yield _error(name, "is empty")
        return
    for column in sorted({column for column in header if column and header.count(column) > 1}):
        yield _error(name, f"has the column {column} twice")
    for column in map(_column, configuration.instrument_list):
        if column not in header:
            nearest = get_close_matches(column, header, n=1)
            hint = f"; is it {nearest[0]!r}?" if nearest else f"; there are {', '.join(header)}"
            yield _error(name, f"has no column {column}{hint}")


def _song(
    place: str, cells: Mapping[str, str], configuration: Configuration, folder: Path
) -> tuple[ListedSong, list[Problem]]:
    """The song of a line, and the problems of the line."""
    names = [*configuration.instrument_list, configuration.mix_name]
    texts = {name: cells.get(_column(name), "").strip() for name in names}
    sources = {name: tuple(_sources(text, folder)) for name, text in texts.items() if text and text.lower() != "nan"}
    song_name = _name(sources.values())
    place = f"{place} ({display_name(song_name)})" if song_name else place
    complaints = [f"has no {_column(name)}" for name in configuration.instrument_list if name not in sources]
    complaints += [complaint for name, files in sources.items() for complaint in _file_complaints(name, files)]
    complaints += _shared_files(sources, configuration)
    duration = None
    try:
        duration = _duration(cells.get(_DURATION, "").strip())
    except ValueError as error:
        complaints.append(str(error))
    return ListedSong(song_name, place, sources, duration), [_error(place, complaint) for complaint in complaints]


def _column(name: str) -> str:
    return f"{name}_path"


def _sources(text: str, folder: Path) -> Iterator[AudioSource]:
    """The files that a cell names."""
    for name in filter(None, map(str.strip, text.split(_SEPARATOR))):
        path, mark, number = name.rpartition(_STREAM_MARK)
        if mark and number.isdecimal() and not os.path.lexists(folder / name):
            yield AudioSource(folder / path, int(number))
        else:
            yield AudioSource(folder / name)


def _file_complaints(name: str, files: Iterable[AudioSource]) -> Iterator[str]:
    for file in files:
        shown = display_name(file.path)
        try:
            if file.path.is_dir():
                yield f"{_column(name)} is a folder, {shown}"
            elif not file.path.exists():
                yield f"{_column(name)}: there is no file {shown}"
        except (OSError, ValueError) as error:
            yield f"{_column(name)}: {shown} cannot be a file ({error})"


def _shared_files(sources: Mapping[str, tuple[AudioSource, ...]], configuration: Configuration) -> Iterator[str]:
    """Complaints about files that are given for two stems."""
    owner: dict[AudioSource, str] = {}
    for name in configuration.instrument_list:
        for file in sources.get(name, ()):
            if (first := owner.setdefault(file, name)) != name:
                yield f"{first} and {name} are the same file, {display_name(file.path)}"


def _duration(text: str) -> float | None:
    """Seconds; None for an empty cell. Raises ValueError, with a message for a person."""
    if not text:
        return None
    try:
        duration = float(text)
    except ValueError:
        duration = math.nan
    if not 0 < duration < math.inf:
        raise ValueError(f"its duration is {text!r}, not a number of seconds; leave it out to have it measured")
    return duration


def _name(sources: Iterable[Sequence[AudioSource]]) -> str:
    """The name of a song: its file's, or that of the folder of its files if they differ."""
    paths = list(dict.fromkeys(file.path for files in sources for file in files))
    if not paths:
        return ""
    if len(paths) == 1 or paths[0].parent.name == "":
        return paths[0].name.split(".")[0]
    return paths[0].parent.name if paths[0].parent == paths[1].parent else paths[0].stem


def _error(place: str, message: str) -> Problem:
    return Problem(Severity.ERROR, place, message)


# Making lists.


def songs_from_tracks(
    tracks: Iterable[Track], configuration: Configuration
) -> tuple[list[ListedSong], list[Problem]]:
    """Tracks with stems -> songs of a model's instruments; an accompaniment is the sum of all stems but the vocals.

    Returns:
        The songs, and the tracks that lack an instrument as problems.
    """
    songs, problems = [], []
    for track in tracks:
        place = display_name(track.name)
        components = {name: track.components(name) for name in configuration.instrument_list}
        if missing := [name for name, found in components.items() if not found]:
            problems.append(Problem(Severity.DISCARDED, place, f"has no {', '.join(missing)}"))
            continue
        sources = {name: tuple(track.stems[stem] for stem in found) for name, found in components.items()}
        if mixture := _mixture(track, {stem for found in components.values() for stem in found}):
            sources[configuration.mix_name] = mixture
        songs.append(ListedSong(track.name, place, sources, None))
    return songs, problems


def _mixture(track: Track, used: set[str]) -> tuple[AudioSource, ...]:
    """The files of a track's mixture; none if it is the sum of the stems that are used."""
    if track.mixture is not None:
        return (track.mixture,)
    names = track.mixture_components
    return () if used == set(names) else tuple(track.stems[name] for name in names)


def write_song_list(list_csv: Path, songs: Iterable[ListedSong], configuration: Configuration) -> None:
    """Write a list of songs, whole or not at all; paths below its folder are written relative to it.

    Raises:
        DatasetError: if a path cannot be in a list.
        EncodeError: if it cannot be written.
    """
    write_whole(list_csv, song_list_csv(list_csv, songs, configuration).encode(), EncodeError)


def song_list_csv(list_csv: Path, songs: Iterable[ListedSong], configuration: Configuration) -> str:
    """The text of a list of songs that is to lie at a path. Raises DatasetError if a path cannot be in a list."""
    songs, names = list(songs), [configuration.mix_name, *configuration.instrument_list]
    names = [name for name in names if any(name in song.sources for song in songs)]
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*map(_column, names), _DURATION])
    for song in songs:
        cells = [
            _SEPARATOR.join(_file_text(source, list_csv.parent) for source in song.sources.get(name, ()))
            for name in names
        ]
        rows.writerow([*cells, "" if song.duration is None else f"{song.duration:.3f}"])
    return text.getvalue()


def _file_text(source: AudioSource, folder: Path) -> str:
    path, base = source.path.resolve(), folder.resolve()
    text = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
    if _SEPARATOR in text:
        raise DatasetError(f"{display_name(source.path)}: a list of songs cannot hold a path with {_SEPARATOR!r}")
    return text if source.stream is None else f"{text}{_STREAM_MARK}{source.stream}"
