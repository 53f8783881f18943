"""A song's files listened to, from the first sample to the last: what is wrong with them, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.problems import Problem, Severity
from spleeter.data.song_list import Song
from spleeter.data.tracks import Sound
from spleeter.errors import SpleeterError
from spleeter.utils.names import display_name
from spleeter.utils.parallel import in_parallel

_LENGTHS_MAY_DIFFER = 0.1
"""Seconds: what encoders add and decoders leave."""

_DURATION_MAY_DIFFER = 1.0
"""Seconds that a listed duration may go beyond the sound."""


@dataclass(frozen=True)
class Inspection:
    """What a song is.

    Args:
        duration: of the shortest of its sounds, in seconds.
        digest: a hash of all that is in its stems: the same song under another name, or in another lossless file,
            has the same.
    """

    duration: float
    digest: str


@dataclass(frozen=True)
class _Found:
    """What was found in a file."""

    sound: Sound
    seconds: float
    sample_rate: int
    n_channels: int
    peak: float
    digest: str


def inspect(
    song: Song, configuration: Configuration, adapter: AudioAdapter | None = None
) -> tuple[Inspection | None, list[Problem]]:
    """Decode all of a song's files, in memory that does not grow with them.

    Args:
        song: to be inspected.
        configuration: says how many channels and frames are needed.
        adapter: reads sound files; None takes the default.

    Returns:
        What the song is, None if it is not fit for training; and all that is wrong with it.
    """
    adapter = adapter or AudioAdapter.default()
    found: dict[str, list[_Found]] = {}
    complaints: list[tuple[Severity, str]] = []
    for name, parts in song.sounds.items():
        try:
            found[name] = [_listen(part, adapter) for part in parts]
        except SpleeterError as error:
            complaints.append((Severity.ERROR, f"{name}: {error}"))
    if not complaints:
        complaints += _complaints(song, found, configuration)
    problems = [Problem(severity, song.place, " ".join(what.split())) for severity, what in complaints]
    if any(severity is not Severity.WARNING for severity, _ in complaints):
        return None, problems
    stems = [part.digest for name in sorted(configuration.instrument_list) for part in found[name]]
    return Inspection(_seconds(found), blake2b("".join(stems).encode(), digest_size=16).hexdigest()), problems


@dataclass(frozen=True)
class Inspected:
    """A song, and what inspection has brought to light; its inspection is None if it is not fit for training."""

    song: Song
    inspection: Inspection | None
    problems: list[Problem]

    @property
    def listed(self) -> Song | None:
        """The song with its true duration, if it is fit for training."""
        return None if self.inspection is None else replace(self.song, duration=self.inspection.duration)


def inspect_all(
    songs: Sequence[Song],
    configuration: Configuration,
    adapter: AudioAdapter | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Inspected]:
    """Inspect songs, with all cores; `progress` is told of those done and all, and may raise to stop."""

    def one(song: Song) -> Inspected:
        return Inspected(song, *inspect(song, configuration, adapter))

    return in_parallel(one, songs, progress)


def _listen(sound: Sound, adapter: AudioAdapter) -> _Found:
    """Decode a file. Raises DecodeError if it cannot be, or holds samples that are no numbers."""
    digest, n_samples, peak = blake2b(digest_size=16), 0, 0.0
    with sound.adapter(adapter).open(sound.path) as reader:
        for block in reader.blocks():
            n_samples += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            digest.update(block.tobytes())
        rate, channels = reader.sample_rate, reader.n_channels
    return _Found(sound, n_samples / rate, rate, channels, peak, digest.hexdigest())


def _complaints(
    song: Song, found: Mapping[str, list[_Found]], configuration: Configuration
) -> Iterator[tuple[Severity, str]]:
    files = [part for parts in found.values() for part in parts]
    instruments = configuration.instrument_list
    yield from _complaints_of_length(song, found, configuration)
    for part in files:
        if part.n_channels != configuration.n_channels:
            wanted = f"{part.n_channels} channels, not {configuration.n_channels}"
            yield Severity.DISCARDED, f"{display_name(part.sound.path.name)} has {wanted}"
    silent = [name for name in instruments if not any(part.peak for part in found[name])]
    if len(silent) == len(instruments):
        yield Severity.ERROR, "all its stems are silent"
    elif silent:
        yield Severity.WARNING, f"silent throughout: {', '.join(silent)}"
    if rates := {part.sample_rate for part in files} - {configuration.sample_rate}:
        told = ", ".join(map(str, sorted(rates)))
        yield Severity.WARNING, f"will be resampled from {told} to {configuration.sample_rate} Hz"


def _complaints_of_length(
    song: Song, found: Mapping[str, list[_Found]], configuration: Configuration
) -> Iterator[tuple[Severity, str]]:
    shortest, longest = _seconds(found), max(part.seconds for parts in found.values() for part in parts)
    if longest - shortest > _LENGTHS_MAY_DIFFER:
        told = ", ".join(f"{name} {min(part.seconds for part in parts):.2f}" for name, parts in found.items())
        yield Severity.ERROR, f"its files differ in length: {told} s; are they of one song?"
    elif song.duration is not None and song.duration > shortest + _DURATION_MAY_DIFFER:
        yield Severity.ERROR, f"its duration is listed as {song.duration:g} s, but it is {shortest:.2f} s long"
    needed = configuration.segment_samples / configuration.sample_rate
    if shortest < needed:
        told = f"it is {shortest:.2f} s long, and a segment of T = {configuration.T} frames {needed:.2f} s"
        yield Severity.DISCARDED, told


def _seconds(found: Mapping[str, list[_Found]]) -> float:
    return min(part.seconds for parts in found.values() for part in parts)


def shared_songs(
    training: Sequence[tuple[Song, Inspection]], validation: Sequence[tuple[Song, Inspection]]
) -> list[Problem]:
    """Songs that sound the same: an error if one is for training and one for validation, else a warning."""
    problems, first_of = [], {inspection.digest: song.place for song, inspection in validation}
    for song, inspection in training:
        if (place := first_of.get(inspection.digest)) is not None:
            what = f"it sounds the same as {place}: a song to validate on must not be trained on"
            problems.append(Problem(Severity.ERROR, song.place, what))
    seen: dict[str, str] = {}
    for song, inspection in training:
        if (place := seen.setdefault(inspection.digest, song.place)) != song.place:
            problems.append(Problem(Severity.WARNING, song.place, f"it sounds the same as {place}"))
    return problems
