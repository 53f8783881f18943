"""Inspection of songs: all their files are decoded, from the first sample to the last, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Event

import numpy as np

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.problems import Problem, Severity
from spleeter.data.song_list import ListedSong
from spleeter.data.tracks import LENGTH_TOLERANCE, AudioSource
from spleeter.errors import SpleeterError
from spleeter.utils.names import display_name
from spleeter.utils.parallel import in_parallel, until_stopped

__all__ = ["InspectedSong", "Inspection", "inspect_song", "inspect_songs", "shared_songs"]

_DURATION_TOLERANCE = 1.0
"""Seconds that a listed duration may be longer than the audio."""


@dataclass(frozen=True)
class Inspection:
    """What inspection finds out about a song that is fit for training.

    Args:
        duration: of the shortest of its files, in seconds.
        digest: hash of the samples of all its stems: the same song under another name, or in another lossless format,
            has the same.
    """

    duration: float
    digest: str


@dataclass(frozen=True)
class InspectedSong:
    """A song and its problems; its inspection is None if it is not fit for training."""

    song: ListedSong
    inspection: Inspection | None
    problems: list[Problem]

    @property
    def measured(self) -> ListedSong | None:
        """The song with its measured duration, if it is fit for training."""
        return None if self.inspection is None else replace(self.song, duration=self.inspection.duration)


@dataclass(frozen=True)
class _FileFacts:
    """What decoding a file finds out."""

    source: AudioSource
    seconds: float
    sample_rate: int
    n_channels: int
    peak: float
    digest: str


def inspect_song(
    song: ListedSong,
    configuration: Configuration,
    adapter: AudioAdapter | None = None,
    stopped: Event | None = None,
) -> InspectedSong:
    """Decode all of a song's files, block by block, and check them.

    Args:
        song: to be inspected.
        configuration: gives the number of channels, the sample rate and the length of a segment.
        adapter: reads audio files; None takes the default.
        stopped: raises CancelledError in the middle of a file once it is set.
    """
    adapter, stopped = adapter or AudioAdapter.default(), stopped or Event()
    facts: dict[str, list[_FileFacts]] = {}
    complaints: list[tuple[Severity, str]] = []
    for name, sources in song.sources.items():
        try:
            facts[name] = [_decode(source, adapter, stopped) for source in sources]
        except SpleeterError as error:
            complaints.append((Severity.ERROR, f"{name}: {error}"))
    if not complaints:
        complaints += _complaints(song, facts, configuration)
    problems = [Problem(severity, song.place, " ".join(text.split())) for severity, text in complaints]
    if any(severity is not Severity.WARNING for severity, _ in complaints):
        return InspectedSong(song, None, problems)
    digests = [file.digest for name in sorted(configuration.instrument_list) for file in facts[name]]
    digest = blake2b("".join(digests).encode(), digest_size=16).hexdigest()
    return InspectedSong(song, Inspection(_shortest(facts), digest), problems)


def inspect_songs(
    songs: Sequence[ListedSong],
    configuration: Configuration,
    adapter: AudioAdapter | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[InspectedSong]:
    """Inspect songs, with all cores; `progress` is called with the songs done and all songs; it may raise to stop."""
    stopped = Event()
    return in_parallel(lambda song: inspect_song(song, configuration, adapter, stopped), songs, progress, stopped)


def _decode(source: AudioSource, adapter: AudioAdapter, stopped: Event) -> _FileFacts:
    """Decode a file. Raises DecodeError if it cannot be, or holds samples that are NaN or infinite."""
    digest, n_samples, peak = blake2b(digest_size=16), 0, 0.0
    with source.adapter(adapter).open(source.path) as reader:
        for block in until_stopped(reader.blocks(), stopped):
            n_samples += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            digest.update(block.tobytes())
        rate, channels = reader.sample_rate, reader.n_channels
    return _FileFacts(source, n_samples / rate, rate, channels, peak, digest.hexdigest())


def _complaints(
    song: ListedSong, facts: Mapping[str, list[_FileFacts]], configuration: Configuration
) -> Iterator[tuple[Severity, str]]:
    files = [file for of_stem in facts.values() for file in of_stem]
    instruments = configuration.instrument_list
    yield from _length_complaints(song, facts, configuration)
    for n_channels in sorted({file.n_channels for file in files} - {configuration.n_channels}):
        names = dict.fromkeys(display_name(file.source.path.name) for file in files if file.n_channels == n_channels)
        has = f"{'have' if len(names) > 1 else 'has'} {n_channels} channel{'' if n_channels == 1 else 's'}"
        change = "copied" if n_channels == 1 else "mixed down or cut"
        yield Severity.WARNING, f"{', '.join(names)} {has}: {change} to {configuration.n_channels}"
    silent = [name for name in instruments if not any(file.peak for file in facts[name])]
    if len(silent) == len(instruments):
        yield Severity.ERROR, "all its stems are silent"
    elif silent:
        yield Severity.WARNING, f"silent throughout: {', '.join(silent)}"
    if rates := {file.sample_rate for file in files} - {configuration.sample_rate}:
        listed = ", ".join(map(str, sorted(rates)))
        yield Severity.WARNING, f"will be resampled from {listed} to {configuration.sample_rate} Hz"


def _length_complaints(
    song: ListedSong, facts: Mapping[str, list[_FileFacts]], configuration: Configuration
) -> Iterator[tuple[Severity, str]]:
    shortest, longest = _shortest(facts), max(file.seconds for files in facts.values() for file in files)
    difference = longest - shortest
    if difference > LENGTH_TOLERANCE:
        lengths = ", ".join(f"{name} {min(file.seconds for file in files):.2f}" for name, files in facts.items())
        yield Severity.ERROR, f"its files differ in length: {lengths} s; are they of one song?"
    elif song.duration is not None and song.duration > shortest + _DURATION_TOLERANCE:
        yield Severity.ERROR, f"its duration is listed as {song.duration:g} s, but it is {shortest:.2f} s long"
    elif difference > 0.5 / configuration.sample_rate:
        yield (
            Severity.WARNING,
            f"its files differ in length by {1000 * difference:.2g} ms: cut to the shortest, {shortest:.3f} s",
        )
    needed = configuration.segment_samples / configuration.sample_rate
    if shortest < needed:
        lengths = f"it is {shortest:.2f} s long, and a segment of T = {configuration.T} frames {needed:.2f} s"
        yield Severity.DISCARDED, lengths


def _shortest(facts: Mapping[str, list[_FileFacts]]) -> float:
    """The duration of the shortest file, in seconds."""
    return min(file.seconds for files in facts.values() for file in files)


def shared_songs(
    training: Sequence[tuple[ListedSong, Inspection]], validation: Sequence[tuple[ListedSong, Inspection]]
) -> list[Problem]:
    """Songs whose audio is the same.

    A warning if it is listed twice to train on; an error if it is to train and to validate on, but one warning if all
    songs are: then it is meant.
    """
    problems, first_of = [], {inspection.digest: song.place for song, inspection in validation}
    if training and first_of.keys() == {inspection.digest for _, inspection in training}:
        message = "they are the same: the validation loss tells nothing about other songs"
        problems.append(Problem(Severity.WARNING, "training and validation songs", message))
        first_of = {}
    for song, inspection in training:
        if (place := first_of.get(inspection.digest)) is not None:
            message = f"its audio is the same as that of {place}: a song to validate on must not be trained on"
            problems.append(Problem(Severity.ERROR, song.place, message))
    seen: dict[str, str] = {}
    for song, inspection in training:
        if (place := seen.setdefault(inspection.digest, song.place)) != song.place:
            problems.append(Problem(Severity.WARNING, song.place, f"its audio is the same as that of {place}"))
    return problems
