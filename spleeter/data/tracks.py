"""Tracks with their true stems: where their files are, and their waveforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import AUDIO_EXTENSIONS
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import DatasetError
from spleeter.types import Waveform
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, is_file_name_part, reason

__all__ = [
    "ACCOMPANIMENT",
    "DEFAULT_SUBSET",
    "LENGTH_TOLERANCE",
    "MIXTURE",
    "VOCALS",
    "AudioSource",
    "Track",
    "TrackAudio",
    "find_tracks",
    "load_track",
]

DEFAULT_SUBSET = "test"
"""The subset that is evaluated where there is one, and that of tracks that lie in none: museval looks for it."""

LENGTH_TOLERANCE = 0.1
"""Seconds that the files of a song may differ in length by: encoders add some samples, and decoders leave them."""

MIXTURE = "mixture"
VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"

_TRACK_MARKERS = frozenset({MIXTURE, VOCALS, ACCOMPANIMENT})
"""A folder with a file of one of these names is a track, whatever is to be evaluated; an album of songs has none."""

_MUSDB_ENDING = ".stem.mp4"
_MUSDB_STREAMS = (MIXTURE, "drums", "bass", "other", VOCALS)
"""The audio streams of a musdb18 file, in order (Rafii et al., "MUSDB18", 2017)."""


@dataclass(frozen=True)
class AudioSource:
    """An audio file, or one of its audio streams, counted from 0."""

    path: Path
    stream: int | None = None

    def adapter(self, default: AudioAdapter) -> AudioAdapter:
        """The adapter that reads it: the default, or for a stream of a file PyAV's."""
        return default if self.stream is None else PyAVAudioAdapter(self.stream)


@dataclass(frozen=True)
class Track:
    """A song with its true stems.

    Args:
        name: of the track.
        subset: it belongs to, such as "test".
        path: its file or folder.
        stems: name -> its audio.
        mixture: the audio of the song itself; None if it is the sum of the stems.
    """

    name: str
    subset: str
    path: Path
    stems: Mapping[str, AudioSource]
    mixture: AudioSource | None

    def components(self, instrument: str) -> tuple[str, ...]:
        """The stems whose sum is the truth for a model's instrument: itself; all but the vocals for an accompaniment.

        Empty if the track does not have it.
        """
        if instrument in self.stems:
            return (instrument,)
        return tuple(name for name in self.stems if name != VOCALS) if instrument == ACCOMPANIMENT else ()

    @property
    def mixture_components(self) -> tuple[str, ...]:
        """The stems whose sum is the mixture: without an accompaniment beside the stems that it consists of."""
        accompanying = [name for name in self.stems if name not in (VOCALS, ACCOMPANIMENT)]
        return tuple(name for name in self.stems if name != ACCOMPANIMENT) if accompanying else tuple(self.stems)


@dataclass(frozen=True)
class TrackAudio:
    """The waveforms of a track at one sample rate.

    Args:
        mixture: float32 (samples, channels).
        references: the true stems, float32 (instruments, samples, channels).
    """

    mixture: Waveform
    references: Waveform


def find_tracks(
    root: Path, subset: str | None = None, instruments: Iterable[str] = (), default_subset: str = DEFAULT_SUBSET
) -> list[Track]:
    """List the tracks of a data set, sorted by name.

    A track is a musdb18 file (`*.stem.mp4`, of five streams), or a folder that holds one audio file for each stem,
    named after it, and perhaps one named `mixture`. Tracks lie in `root`, or in a folder of it for each subset.

    Args:
        root: the data set's folder.
        subset: the folder in it to take; None takes the default one if there are tracks in it, else those in `root`.
        instruments: to be evaluated. Only a folder with one of them, or with a mixture, vocals or an accompaniment,
            is a track.
        default_subset: the name of that folder.

    Raises:
        DatasetError: if there are none, or a stem or a track is there twice.
    """
    markers = _TRACK_MARKERS.union(instruments)
    if not root.is_dir():
        raise DatasetError(f"there is no folder {display_name(root)}")
    if subset is not None and not is_file_name_part(subset):
        raise DatasetError(f"a subset is the name of a folder in {display_name(root)}, not {subset!r}")
    name = subset or default_subset
    folder = root / name
    try:
        tracks = list(_tracks_in(folder, name, markers)) if folder.is_dir() else []
        if not tracks and subset is None:
            folder, tracks = root, list(_tracks_in(root, name, markers))
        subsets = [] if tracks else _subsets(root, markers)
    except OSError as error:
        raise DatasetError(f"cannot list {display_name(error.filename)}: {reason(error)}") from error
    if subsets:
        found = ", ".join(map(display_name, subsets))
        raise DatasetError(
            f"no tracks with stems in {display_name(folder)}, but there are tracks in {found}: "
            f"choose --subset {display_name(subsets[0])}"
        )
    if not tracks:
        raise DatasetError(
            f"no tracks with stems in {display_name(folder)}: a track is a musdb18 file (NAME.stem.mp4) or a folder "
            "with an audio file for each stem (NAME/vocals.wav ...), in that folder or in one for a subset "
            f"({default_subset}/NAME)"
        )
    _check_names(folder, tracks)
    return tracks


def _subsets(root: Path, markers: AbstractSet[str]) -> list[str]:
    """The names of the folders in which there are tracks."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [folder.name for folder in folders if any(_tracks_in(folder, folder.name, markers))]


def _check_names(folder: Path, tracks: Iterable[Track]) -> None:
    """Refuse two tracks of one name, a file and a folder: their scores would be in the same file."""
    paths: dict[str, Path] = {}
    for track in tracks:
        if (first := paths.setdefault(track.name, track.path)) != track.path:
            both = " and ".join(display_name(path.name) for path in (first, track.path))
            raise DatasetError(
                f"{display_name(folder)} holds {display_name(track.name)} twice, as {both}; keep one of them"
            )


def _tracks_in(folder: Path, subset: str, markers: AbstractSet[str]) -> Iterator[Track]:
    """The tracks of a folder; a folder in it is one only if it holds a file that is named like one of the markers."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.name.endswith(_MUSDB_ENDING) and path.is_file():
            mixture, *stems = (AudioSource(path, stream) for stream in range(len(_MUSDB_STREAMS)))
            named = dict(zip(_MUSDB_STREAMS[1:], stems, strict=True))
            yield Track(path.name.removesuffix(_MUSDB_ENDING), subset, path, named, mixture)
        elif path.is_dir() and (sources := _sources_in(path, markers)):
            folder_mixture = sources.pop(MIXTURE, None)
            if sources:
                yield Track(path.name, subset, path, sources, folder_mixture)


def _sources_in(folder: Path, markers: AbstractSet[str]) -> dict[str, AudioSource]:
    """The audio files of a track's folder, by their names without the extension; none if it is not a track's."""
    paths = [path for path in sorted(folder.iterdir()) if _may_be_stem(path)]
    if markers.isdisjoint(path.stem for path in paths):
        return {}
    sources: dict[str, AudioSource] = {}
    for path in paths:
        if path.stem in sources:
            raise DatasetError(
                f"{display_name(folder)} holds {path.stem} twice, as {sources[path.stem].path.name} and {path.name}; "
                "keep one of them"
            )
        sources[path.stem] = AudioSource(path)
    return sources


def _may_be_stem(path: Path) -> bool:
    """Whether it is an audio file, and not one of musdb18, which is a whole track."""
    is_audio = path.suffix.lower() in AUDIO_EXTENSIONS and not path.name.endswith(_MUSDB_ENDING)
    return is_audio and not path.name.startswith(".") and path.is_file()


def load_track(
    track: Track, instruments: Iterable[str], sample_rate: int, n_channels: int, adapter: AudioAdapter | None = None
) -> TrackAudio:
    """Load a track's mixture, and its true stems for some instruments.

    Other sample rates are resampled, and files that are a few samples shorter than the longest are padded with zeros,
    which is logged; mono is copied to as many channels as asked for. The stems, not
    the mixture, are rounded to 16 bits, which those of musdb18 have anyway: a decoded lossy file holds nothing at the
    top of the spectrum, where BSS Eval's filters would be fitted to the decoder's rounding.

    Args:
        track: to load.
        instruments: of which the track has components.
        sample_rate: in hertz.
        n_channels: of the result.
        adapter: reads files; None takes the default. The streams of musdb18 files are always read by PyAV's.

    Raises:
        DecodeError: if one of its files cannot be read.
        DatasetError: if they differ in length by more than `LENGTH_TOLERANCE`.
    """
    wanted = [track.components(instrument) for instrument in instruments]
    needed = {name for names in wanted for name in names} if track.mixture else set(track.stems)
    sources = {name: source for name, source in track.stems.items() if name in needed}
    if track.mixture:
        sources[MIXTURE] = track.mixture
    default = adapter or AudioAdapter.default()

    def load(source: AudioSource) -> Waveform:
        with source.adapter(default).open(source.path, sample_rate=sample_rate, n_channels=n_channels) as reader:
            waveform = np.concatenate(list(reader.blocks()))
            if reader.source_sample_rate != sample_rate:
                rates = reader.source_sample_rate, sample_rate
                logger.info("%s: resampled from %d to %d Hz to be scored", display_name(source.path), *rates)
        return waveform

    with ThreadPoolExecutor(thread_name_prefix="spleeter-stem") as threads:
        waveforms = dict(zip(sources, threads.map(load, sources.values()), strict=True))
    waveforms = _at_one_length(waveforms, sample_rate, display_name(track.path))
    references = np.stack([_at_16_bits(_sum([waveforms[name] for name in names])) for names in wanted])
    mixture = waveforms[MIXTURE] if track.mixture else _sum([waveforms[name] for name in track.mixture_components])
    return TrackAudio(mixture, references)


def _at_one_length(waveforms: dict[str, Waveform], sample_rate: int, place: str) -> dict[str, Waveform]:
    """Waveforms (samples, channels) by name, padded with zeros to the longest. Raises DatasetError."""
    lengths_of = {name: len(waveform) for name, waveform in waveforms.items()}
    shortest, longest = (extreme(lengths_of, key=lengths_of.__getitem__) for extreme in (min, max))
    n_samples, n_missing = lengths_of[longest], lengths_of[longest] - lengths_of[shortest]
    if n_missing == 0:
        return waveforms
    lengths = f"{shortest} has {lengths_of[shortest]} samples, {longest} {n_samples}"
    if n_missing > LENGTH_TOLERANCE * sample_rate:
        raise DatasetError(f"{place}: its files differ in length: {lengths}; cut them alike")
    logger.info("%s: %s: padded with up to %d zeros", place, lengths, n_missing)
    return {name: np.pad(waveform, [(0, n_samples - len(waveform)), (0, 0)]) for name, waveform in waveforms.items()}


def _at_16_bits(waveform: Waveform) -> Waveform:
    rounded: Waveform = np.rint(waveform * np.float32(2**15)) / np.float32(2**15)
    return rounded


def _sum(waveforms: list[Waveform]) -> Waveform:
    total: Waveform = np.sum(waveforms, axis=0, dtype=np.float32) if len(waveforms) > 1 else waveforms[0]
    return total
