"""Lists of songs, as CSV files: one song a line, a column for the files of each stem.

    mix_path,vocals_path,accompaniment_path,duration
    Sodium/mix.wav,Sodium/vocals.wav,Sodium/drums.wav|Sodium/bass.wav|Sodium/other.wav,263.4

The format is the original's, extended: a cell may hold several files, whose sum is meant; a file may end in the
number of an audio stream, `song.stem.mp4#4`; the mixture may be missing, and is then the sum of the stems; so may the
duration. What spreadsheets and other systems write is read too: semicolons or tabs between cells, and decimal commas;
UTF-16; a home folder's `~`; backslashes in paths.
"""

from __future__ import annotations

import codecs
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
from spleeter.utils.names import display_name, reason
from spleeter.utils.whole_file import write_whole

__all__ = ["ListedSong", "read_song_list", "song_list_csv", "songs_from_tracks", "write_song_list"]

_SEPARATOR, _STREAM_MARK = "|", "#"
_DURATION = "duration"

_DELIMITERS = ",;\t"

_DELIMITER_HINT = "sep="
"""Begins a line before the header, for Excel, that ends in the delimiter."""

_EMPTY = frozenset({"", "nan", "none", "null", "<na>"})
"""What an empty cell may hold, in lower case."""


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
        list_csv: in UTF-8, or in UTF-16 with a byte order mark.
        configuration: names the mixture and the instruments, and so the columns.
        data: folder that relative paths start from; None for the folder of the list.

    Returns:
        The songs without errors, and the problems of the others, or of the list.
    """
    name = display_name(list_csv)
    try:
        text = _decoded(list_csv.read_bytes())
    except (OSError, UnicodeError) as error:
        return [], [_error(name, f"cannot be read: {reason(error)}")]
    if "\0" in text:
        return [], [_error(name, "is no text; save it as CSV, in UTF-8")]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True)
    try:
        rows = [(reader.line_num, _without_empty_end([cell.strip() for cell in row])) for row in reader]
    except csv.Error as error:
        return [], [_error(f"{name}, line {reader.line_num}", f"is no line of a CSV file: {error}")]
    rows = [(line, row) for line, row in rows if row and row != [_DELIMITER_HINT]]
    if not rows:
        return [], [_error(name, "is empty")]
    (_, header), *numbered = rows
    if found := list(_header_problems(name, header, configuration)):
        return [], found
    if not numbered:
        return [], [_error(name, "lists no songs")]
    songs, problems = _songs(name, header, numbered, configuration, list_csv.parent if data is None else data)
    return songs, [*_mixture_problems(name, header, configuration), *problems]


def _decoded(content: bytes) -> str:
    """The text of a list. Bytes that are not UTF-8 become surrogates, as in the names of files."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", "surrogateescape")


def _delimiter(text: str) -> str:
    """The character between the cells of a list: the one that Excel is told, or the most frequent in the header."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    hint = header.removeprefix(_DELIMITER_HINT)
    return hint if hint != "" and hint in _DELIMITERS else max(_DELIMITERS, key=header.count)


def _without_empty_end(row: list[str]) -> list[str]:
    return row[: max((index for index, cell in enumerate(row, 1) if cell), default=0)]


def _songs(
    name: str, header: list[str], numbered: list[tuple[int, list[str]]], configuration: Configuration, folder: Path
) -> tuple[list[ListedSong], list[Problem]]:
    songs: list[ListedSong] = []
    problems: list[Problem] = []
    first_of: dict[object, str] = {}
    for line, row in numbered:
        place = f"{name}, line {line}"
        if len(row) > len(header):
            problems.append(_error(place, f"has {len(row)} cells, but the header {len(header)}"))
            continue
        cells = dict(zip(header, row + [""] * (len(header) - len(row)), strict=True))
        song, found = _song(place, cells, configuration, folder)
        files = tuple(song.sources.get(instrument) for instrument in configuration.instrument_list)
        if not found and (first := first_of.setdefault(files, song.place)) != song.place:
            found.append(_error(song.place, f"is the same song as {first}"))
        problems += found
        if not found:
            songs.append(song)
    return songs, problems


def _header_problems(name: str, header: Sequence[str], configuration: Configuration) -> Iterator[Problem]:
    for column in sorted({column for column in header if column and header.count(column) > 1}):
        yield _error(name, f"has the column {display_name(column)} twice")
    for column in map(_column, configuration.instrument_list):
        if column not in header:
            nearest = get_close_matches(column, header, n=1)
            found = ", ".join(display_name(cell[:60]) for cell in header[:20])
            hint = f"; is it {nearest[0]!r}?" if nearest else f"; there are {found}"
            yield _error(name, f"has no column {column}{hint}")


def _mixture_problems(name: str, header: Sequence[str], configuration: Configuration) -> Iterator[Problem]:
    """A warning where the mixture may be in a column of another name."""
    mixture = _column(configuration.mix_name)
    used = list(map(_column, configuration.instrument_list))
    unused = [column for column in header if column.endswith(_column("")) and column not in used]
    if unused and mixture not in header:
        yield Problem(
            Severity.WARNING,
            name,
            f"has no column {mixture} (mix_name), and does not use {', '.join(map(display_name, unused))}: "
            "the mixture is the sum of the stems",
        )


def _song(
    place: str, cells: Mapping[str, str], configuration: Configuration, folder: Path
) -> tuple[ListedSong, list[Problem]]:
    """The song of a line, and the problems of the line."""
    names = [*configuration.instrument_list, configuration.mix_name]
    texts = {name: cells.get(_column(name), "") for name in names}
    sources = {name: tuple(_sources(text, folder)) for name, text in texts.items() if text.lower() not in _EMPTY}
    song_name = _name(sources.values())
    place = f"{place} ({display_name(song_name)})" if song_name else place
    complaints = [f"has no {_column(name)}" for name in configuration.instrument_list if name not in sources]
    complaints += [complaint for name, files in sources.items() for complaint in _file_complaints(name, files)]
    complaints += _shared_files(sources, configuration)
    duration = None
    try:
        duration = _duration(cells.get(_DURATION, ""))
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
            yield AudioSource(_located(path, folder), int(number))
        else:
            yield AudioSource(_located(name, folder))


def _located(name: str, folder: Path) -> Path:
    """The path that a name means: as it is written; or with a home folder for `~`, or slashes for backslashes."""
    expanded = os.path.expanduser(name)  # noqa: PTH111 - Path's raises where there is no such home
    meanings = (folder / name, folder / expanded, folder / expanded.replace("\\", "/"))
    return next((path for path in meanings if os.path.lexists(path)), folder / expanded)


def _file_complaints(name: str, files: Iterable[AudioSource]) -> Iterator[str]:
    for file in files:
        shown = display_name(file.path)
        try:
            if file.path.is_dir():
                yield f"{_column(name)} is a folder, {shown}"
            elif not file.path.exists():
                is_utf_8 = os.fsencode(file.path).decode("utf-8", "replace") == str(file.path)
                hint = "" if is_utf_8 else "; the list is not UTF-8: save it as UTF-8"
                yield f"{_column(name)}: there is no file {shown}{hint}"
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
    if text.lower() in _EMPTY:
        return None
    try:
        duration = float(text.replace(",", "."))
    except ValueError:
        duration = math.nan
    if not 0 < duration < math.inf:
        raise ValueError(f"its duration is {text[:60]!r}, not a number of seconds; leave it out to have it measured")
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
    text = song_list_csv(list_csv, songs, configuration)
    write_whole(list_csv, text.encode(errors="surrogateescape"), EncodeError)


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
    if _SEPARATOR in text or text != text.strip():
        raise DatasetError(
            f"{display_name(source.path)}: a list of songs cannot hold a path with {_SEPARATOR!r}, or with a space "
            "at its end"
        )
    return text if source.stream is None else f"{text}{_STREAM_MARK}{source.stream}"
