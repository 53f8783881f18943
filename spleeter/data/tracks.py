"""Tracks whose stems are known: where they lie, and their sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from spleeter.utils.names import display_name, is_file_name_part

DEFAULT_SUBSET = "test"
"""The subset that is scored where there is one, and the name of tracks that lie in none: museval looks for it."""

MIXTURE = "mixture"
VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"

_NATURAL_STEMS = frozenset({MIXTURE, VOCALS, ACCOMPANIMENT})
"""A folder with one of these is a track, whatever is to be scored; an album of songs has none."""

_MUSDB_ENDING = ".stem.mp4"
_MUSDB_STREAMS = (MIXTURE, "drums", "bass", "other", VOCALS)
"""What the sound streams of a musdb18 file hold, in order (Rafii et al., "MUSDB18", 2017)."""


@dataclass(frozen=True)
class Sound:
    """A file, or one of its sound streams, counted from 0."""

    path: Path
    stream: int | None = None

    def adapter(self, usual: AudioAdapter) -> AudioAdapter:
        """What reads it: the usual adapter, or the default one's class if it is one of several streams."""
        return usual if self.stream is None else PyAVAudioAdapter(self.stream)


@dataclass(frozen=True)
class Track:
    """A song with its true stems.

    Args:
        name: of the track.
        subset: it belongs to, such as "test".
        path: its file or folder.
        stems: name -> where its sound is.
        mixture: where the song itself is; None if it is the sum of the stems.
    """

    name: str
    subset: str
    path: Path
    stems: Mapping[str, Sound]
    mixture: Sound | None

    def parts(self, instrument: str) -> tuple[str, ...]:
        """The stems whose sum a model's instrument is to be: itself, or for the accompaniment all but the vocals.

        Empty if the track does not have it.
        """
        if instrument in self.stems:
            return (instrument,)
        return tuple(name for name in self.stems if name != VOCALS) if instrument == ACCOMPANIMENT else ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The stems whose sum is the mixture: an accompaniment beside the stems it consists of does not count."""
        parts = [name for name in self.stems if name not in (VOCALS, ACCOMPANIMENT)]
        return tuple(name for name in self.stems if name != ACCOMPANIMENT) if parts else tuple(self.stems)


@dataclass(frozen=True)
class TrackSound:
    """The sound of a track at one sample rate.

    Args:
        mixture: (samples, channels).
        references: float32 (instruments, samples, channels).
    """

    mixture: Waveform
    references: Waveform


def find_tracks(
    root: Path, subset: str | None = None, instruments: Iterable[str] = (), usual_subset: str = DEFAULT_SUBSET
) -> list[Track]:
    """List the tracks of a data set, sorted by name.

    A track is a musdb18 file (`*.stem.mp4`, of five streams), or a folder that holds one sound file per stem, named
    after it, and perhaps one named `mixture`. Tracks lie in `root`, or in a folder of it for each subset.

    Args:
        root: the data set's folder.
        subset: the folder in it to take; None takes the usual one if there are tracks in it, else those in `root`.
        instruments: that are to be scored. Only a folder with one of them, or with a mixture, vocals or an
            accompaniment, is a track.
        usual_subset: the name of that folder.

    Raises:
        DatasetError: if there are none, or a stem or a track is there twice.
    """
    telling = _NATURAL_STEMS.union(instruments)
    if not root.is_dir():
        raise DatasetError(f"there is no folder {display_name(root)}")
    if subset is not None and not is_file_name_part(subset):
        raise DatasetError(f"a subset is the name of a folder in {display_name(root)}, not {subset!r}")
    name = subset or usual_subset
    folder = root / name
    try:
        tracks = list(_tracks_in(folder, name, telling)) if folder.is_dir() else []
        if not tracks and subset is None:
            folder, tracks = root, list(_tracks_in(root, name, telling))
        subsets = [] if tracks else _subsets(root, telling)
    except OSError as error:
        raise DatasetError(f"cannot list {display_name(error.filename)}: {error.strerror}") from error
    if subsets:
        found = ", ".join(map(display_name, subsets))
        raise DatasetError(
            f"no tracks with stems in {display_name(folder)}, but there are tracks in {found}: "
            f"choose --subset {display_name(subsets[0])}"
        )
    if not tracks:
        raise DatasetError(
            f"no tracks with stems in {display_name(folder)}: a track is a musdb18 file (NAME.stem.mp4) or a folder "
            "with a sound file for each stem (NAME/vocals.wav ...), in that folder or in one for a subset "
            f"({usual_subset}/NAME)"
        )
    _check_names(folder, tracks)
    return tracks


def _subsets(root: Path, telling: AbstractSet[str]) -> list[str]:
    """The names of the folders in which there are tracks."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [folder.name for folder in folders if any(_tracks_in(folder, folder.name, telling))]


def _check_names(folder: Path, tracks: Iterable[Track]) -> None:
    """Refuse two tracks of one name, a file and a folder: their scores would be in the same file."""
    paths: dict[str, Path] = {}
    for track in tracks:
        if (first := paths.setdefault(track.name, track.path)) != track.path:
            both = " and ".join(display_name(path.name) for path in (first, track.path))
            raise DatasetError(
                f"{display_name(folder)} holds {display_name(track.name)} twice, as {both}; keep one of them"
            )


def _tracks_in(folder: Path, subset: str, telling: AbstractSet[str]) -> Iterator[Track]:
    """The tracks of a folder; a folder in it is one only if it holds a sound with one of the names `telling` so."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.name.endswith(_MUSDB_ENDING) and path.is_file():
            mixture, *stems = (Sound(path, stream) for stream in range(len(_MUSDB_STREAMS)))
            named = dict(zip(_MUSDB_STREAMS[1:], stems, strict=True))
            yield Track(path.name.removesuffix(_MUSDB_ENDING), subset, path, named, mixture)
        elif path.is_dir() and (sounds := _sounds_in(path, telling)):
            folder_mixture = sounds.pop(MIXTURE, None)
            if sounds:
                yield Track(path.name, subset, path, sounds, folder_mixture)


def _sounds_in(folder: Path, telling: AbstractSet[str]) -> dict[str, Sound]:
    """The sound files of a track's folder, by their names without the extension; none if it is no track's."""
    paths = [path for path in sorted(folder.iterdir()) if _may_be_stem(path)]
    if telling.isdisjoint(path.stem for path in paths):
        return {}
    sounds: dict[str, Sound] = {}
    for path in paths:
        if path.stem in sounds:
            raise DatasetError(
                f"{display_name(folder)} holds {path.stem} twice, as {sounds[path.stem].path.name} and {path.name}; "
                "keep one of them"
            )
        sounds[path.stem] = Sound(path)
    return sounds


def _may_be_stem(path: Path) -> bool:
    """Whether it is a sound file, and not one of musdb18, which is a whole track."""
    is_sound = path.suffix.lower() in AUDIO_EXTENSIONS and not path.name.endswith(_MUSDB_ENDING)
    return is_sound and not path.name.startswith(".") and path.is_file()


def load_track(
    track: Track, instruments: Iterable[str], sample_rate: int, n_channels: int, adapter: AudioAdapter | None = None
) -> TrackSound:
    """Read a track's mixture, and its true stems for some instruments.

    Other sample rates are resampled, which the logger is told; mono is copied to as many channels as asked for. The
    stems, not the mixture, are rounded to 16 bits, which those of musdb18 have anyway: what a lossy file is decoded
    to holds nothing at the top of the spectrum, where BSS Eval's filters would be fitted to the decoder's rounding.

    Args:
        instruments: of which the track has parts.
        sample_rate: in hertz.
        n_channels: of the result.
        adapter: reads files; None takes the default, which reads the streams of musdb18 files always.

    Raises:
        DecodeError: if one of its files cannot be read.
        DatasetError: if they differ in length.
    """
    wanted = [track.parts(instrument) for instrument in instruments]
    needed = {name for parts in wanted for name in parts} if track.mixture else set(track.stems)
    places = {name: sound for name, sound in track.stems.items() if name in needed}
    if track.mixture:
        places[MIXTURE] = track.mixture
    reading = _reader(sample_rate, n_channels, adapter or AudioAdapter.default())
    with ThreadPoolExecutor(thread_name_prefix="spleeter-stem") as threads:
        waveforms = dict(zip(places, threads.map(reading, places.values()), strict=True))
    _check_lengths(track, waveforms)
    references = np.stack([_at_16_bits(_sum([waveforms[name] for name in parts])) for parts in wanted])
    mixture = waveforms[MIXTURE] if track.mixture else _sum([waveforms[name] for name in track.layers])
    return TrackSound(mixture, references)


def _reader(sample_rate: int, n_channels: int, adapter: AudioAdapter) -> Callable[[Sound], Waveform]:
    def read(sound: Sound) -> Waveform:
        with sound.adapter(adapter).open(sound.path, sample_rate=sample_rate, n_channels=n_channels) as reader:
            waveform = np.concatenate(list(reader.blocks()))
            if reader.source_sample_rate != sample_rate:
                rates = reader.source_sample_rate, sample_rate
                logger.info("%s: resampled from %d to %d Hz to be scored", display_name(sound.path), *rates)
        return waveform

    return read


def _check_lengths(track: Track, waveforms: Mapping[str, Waveform]) -> None:
    lengths = {name: len(waveform) for name, waveform in waveforms.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DatasetError(f"{display_name(track.path)}: they differ in length: {told} samples; cut them alike")


def _at_16_bits(waveform: Waveform) -> Waveform:
    rounded: Waveform = np.rint(waveform * np.float32(2**15)) / np.float32(2**15)
    return rounded


def _sum(waveforms: list[Waveform]) -> Waveform:
    total: Waveform = np.sum(waveforms, axis=0, dtype=np.float32) if len(waveforms) > 1 else waveforms[0]
    return total
