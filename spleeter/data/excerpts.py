"""Excerpts of songs, decoded once and kept in a cache, from which segments are read at random.

What is kept is sound, in 16-bit integers, and not spectrograms: louder, turned round and mixed anew it makes further
songs, which magnitudes cannot; it takes about as much room as the original's spectrograms in 8 bits, without their
error; and the STFT of a segment costs a small part of a training step. docs/training.md has the figures.

A song has two files in the cache's folder, named by a hash of all that decides about their content:

    KEY.npy      int16 (excerpts, signals, channels, samples), memory-mapped
    KEY.json     the scales of the signals, and what inspection found

Each appears whole, the second last. So the songs in the cache are found again, those that a kill interrupted are made
again, and another file, configuration or version has another key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.inspection import Inspection, inspect
from spleeter.data.problems import Problem, Severity
from spleeter.data.song_list import Song
from spleeter.data.tracks import Sound
from spleeter.errors import DatasetError
from spleeter.types import Waveform
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name
from spleeter.utils.parallel import in_parallel
from spleeter.utils.whole_file import is_partial, write_whole

_VERSION = 1
"""Of the files' content; another one makes the cache anew."""

_MARGIN_SECONDS = 0.5
"""What is left out at the beginning and the end of a song, if there is more than one excerpt of it."""

_FULL_SCALE = 2**15

_VALIDATION_SECONDS = 12.0
"""The original's: it validates on the middle of each song."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the songs done and the songs in all; may raise to stop."""


@dataclass(frozen=True)
class Cut:
    """What is cut out of each song: `n_per_song` excerpts of `seconds`."""

    n_per_song: int
    seconds: float

    @classmethod
    def for_training(cls, configuration: Configuration) -> Cut:
        """The configuration's. Raises DatasetError if its excerpts are too short for a segment."""
        needed = configuration.segment_samples / configuration.sample_rate
        seconds = configuration.chunk_duration
        if seconds < needed:
            raise DatasetError(
                f"chunk_duration = {seconds:g} is too short for a segment of T = {configuration.T} frames, which is "
                f"{needed:.2f} s: make it longer, or T or frame_step smaller"
            )
        return cls(configuration.n_chunks_per_song, seconds)

    @classmethod
    def for_validation(cls, configuration: Configuration) -> Cut:
        """The original's 12 seconds, or one segment if that is longer."""
        needed = configuration.segment_samples / configuration.sample_rate
        return cls(configuration.validation_chunks_per_song, max(_VALIDATION_SECONDS, needed))

    def starts(self, duration: float) -> list[float]:
        """Where excerpts begin in a song of `duration` seconds: the one in its middle, or spread evenly."""
        free = max(0.0, duration - self.seconds)
        if self.n_per_song == 1:
            return [free / 2]
        margin = min(_MARGIN_SECONDS, free / 2)
        return [k * (free - 2 * margin) / (self.n_per_song - 1) + margin for k in range(self.n_per_song)]


@dataclass(frozen=True)
class SongExcerpts:
    """A song's excerpts in the cache.

    Args:
        song: that they are of.
        inspection: what was found in it.
        shape: (excerpts, signals, channels, samples). The signals are the instruments in the configuration's order
            and then, if the song has one of its own, the mixture.
        scales: float32 (excerpts, signals), by which sounds are to be multiplied to have full scale at ±1.
        sounds: maps them into memory, int16. A map keeps a file open, of which there may be few at a time.
    """

    song: Song
    inspection: Inspection
    shape: tuple[int, ...]
    scales: npt.NDArray[np.float32]
    sounds: Callable[[], npt.NDArray[np.int16]]


class ExcerptCache:
    """A folder of excerpts of the songs of one data set.

    Args:
        folder: made if need be.
        cut: what is cut out of each song.
        configuration: says what signals there are, and how they are sampled.
        adapter: reads the songs' files; None takes the default.
    """

    def __init__(
        self, folder: Path, cut: Cut, configuration: Configuration, adapter: AudioAdapter | None = None
    ) -> None:
        self._folder, self._cut, self._configuration = folder, cut, configuration
        self._adapter = adapter or AudioAdapter.default()

    def build(
        self, songs: Sequence[Song], progress: Progress | None = None
    ) -> tuple[list[SongExcerpts], list[Problem]]:
        """Have the excerpts of all songs at hand: those that are not there yet are made, with all cores.

        Files of other songs, settings and versions are removed. Another process that builds in the same folder is
        waited for.

        Returns:
            The songs' excerpts, in their order but for those with problems, and the problems.

        Raises:
            DatasetError: if the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            progress = progress or (lambda done, total: None)
            with self._locked(lambda: progress(0, len(songs))):
                keys = [self._key(song) for song in songs]
                self._remove_all_but(keys)
                return self._build(list(zip(songs, keys, strict=True)), progress)
        except OSError as error:
            raise DatasetError(
                f"cannot keep excerpts in {display_name(self._folder)}: {error.strerror or error}"
            ) from error

    def _build(
        self, keyed: Sequence[tuple[Song, str]], progress: Progress
    ) -> tuple[list[SongExcerpts], list[Problem]]:
        results = in_parallel(lambda pair: self._have(*pair), keyed, progress)
        return [made for made, _ in results if made], [problem for _, found in results for problem in found]

    def _have(self, song: Song, key: str) -> tuple[SongExcerpts | None, list[Problem]]:
        """A song's excerpts, out of the cache or made now; None if its problems are too grave."""
        if (there := self._load(song, key)) is not None:
            return there
        inspection, problems = inspect(song, self._configuration, self._adapter)
        if inspection is None:
            return None, problems
        self._save(key, song, inspection, problems)
        if (made := self._load(song, key)) is None:
            raise DatasetError(f"what was kept in {display_name(self._folder)} is not there any more: is it in use?")
        return made

    def _cut_out(self, song: Song, duration: float, path: Path) -> npt.NDArray[np.float32]:
        """Write all excerpts of a song into a file, one after the other; returns their scales."""
        starts, signals = self._cut.starts(duration), [song.sounds[name] for name in self._signals(song)]
        rate, n_channels = self._configuration.sample_rate, self._configuration.n_channels
        n_samples = max(self._configuration.segment_samples, round(min(self._cut.seconds, duration) * rate))
        shape = (len(starts), len(signals), n_channels, n_samples)
        scales = np.empty(shape[:2], np.float32)
        # Written and not mapped: a full disk is an error then, and not the end of the process.
        with path.open("wb") as file:
            header = {"descr": "<i2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for excerpt, start in enumerate(starts):
                for signal, parts in enumerate(signals):
                    whole, scales[excerpt, signal] = _in_16_bits(self._read(parts, start)[:n_samples])
                    n_missing = n_samples - whole.shape[1]  # lost in resampling
                    file.write(np.pad(whole, ((0, 0), (0, n_missing))).tobytes())
        return scales

    def _read(self, parts: Iterable[Sound], start: float) -> Waveform:
        """The sum of some files' sound in an excerpt, (samples, channels)."""
        waveforms = []
        for part in parts:
            settings = start, self._cut.seconds, self._configuration.sample_rate, self._configuration.n_channels
            with part.adapter(self._adapter).open(part.path, *settings) as reader:
                waveforms.append(np.concatenate(list(reader.blocks())))
        n_samples = min(map(len, waveforms))
        total: Waveform = np.sum([waveform[:n_samples] for waveform in waveforms], axis=0, dtype=np.float32)
        return total

    def _signals(self, song: Song) -> list[str]:
        instruments, mix_name = self._configuration.instrument_list, self._configuration.mix_name
        return [*instruments, mix_name] if mix_name in song.sounds else list(instruments)

    def _key(self, song: Song) -> str:
        """A hash of what decides about the content of a song's files."""
        content = {
            "version": _VERSION,
            "cut": asdict(self._cut),
            "sample_rate": self._configuration.sample_rate,
            "n_channels": self._configuration.n_channels,
            "duration": song.duration,
            "adapter": f"{type(self._adapter).__module__}.{type(self._adapter).__qualname__}",
            "signals": [[name, [_identity(part) for part in song.sounds[name]]] for name in self._signals(song)],
        }
        return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def _load(self, song: Song, key: str) -> tuple[SongExcerpts, list[Problem]] | None:
        """A song's excerpts in the cache, and what was wrong with it; None if they are not there, or not whole."""
        path = self._folder / f"{key}.npy"
        try:
            found: Mapping[str, Any] = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            shape = np.load(path, mmap_mode="r").shape
            problems = [Problem(Severity.WARNING, song.place, what) for what in found["warnings"]]
            inspection, scales = Inspection(**found["inspection"]), np.array(found["scales"], np.float32)
        except (FileNotFoundError, EOFError, ValueError, KeyError, TypeError):
            return None
        if shape[-1] < self._configuration.segment_samples:
            return None
        return SongExcerpts(song, inspection, shape, scales, partial(np.load, path, mmap_mode="r")), problems

    def _save(self, key: str, song: Song, inspection: Inspection, problems: list[Problem]) -> None:
        scales: list[list[float]] = []
        write_whole(
            self._folder / f"{key}.npy",
            lambda path: scales.extend(self._cut_out(song, inspection.duration, path).tolist()),
        )
        found = {
            "inspection": asdict(inspection),
            "warnings": [problem.what for problem in problems],
            "scales": scales,
        }
        write_whole(self._folder / f"{key}.json", json.dumps(found).encode())

    @contextmanager
    def _locked(self, check: Callable[[], None]) -> Iterator[None]:
        """Keep other processes out of the folder; while one is in it, `check` is called, and may raise."""
        lock = FileLock(self._folder / ".lock")
        waits = False
        while True:
            check()
            try:
                lock.acquire(timeout=0.5)
                break
            except Timeout:
                if not waits:
                    logger.info("%s: another process is at work there; waiting for it", display_name(self._folder))
                waits = True
        try:
            yield
        finally:
            lock.release()

    def _remove_all_but(self, keys: Iterable[str]) -> None:
        """Remove all files that have other keys, but nothing that is not the cache's own."""
        useful = {f"{key}{ending}" for key in keys for ending in (".npy", ".json")}
        stale = [path for path in self._folder.iterdir() if _is_own(path) and path.name not in useful]
        for path in stale:
            path.unlink(missing_ok=True)
        n_songs = sum(path.suffix == ".npy" for path in stale)
        if n_songs:
            logger.info(
                "%s: removed excerpts of other files or settings, of %d song(s)",
                display_name(self._folder),
                n_songs,
            )


def _in_16_bits(sound: Waveform) -> tuple[npt.NDArray[np.int16], np.float32]:
    """A sound (samples, channels) in integers (channels, samples), and the scale of these.

    It is the step of 16-bit files, whose samples are kept exactly, and greater only where full scale is exceeded.
    """
    scale = np.float32(max(1 / _FULL_SCALE, float(np.abs(sound).max(initial=0.0)) / (_FULL_SCALE - 1)))
    whole = np.rint(sound.T / scale).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    return whole.astype("<i2"), scale


def _is_own(path: Path) -> bool:
    key, _, ending = path.name.partition(".")
    is_key = len(key) == 32 and not set(key) - set("0123456789abcdef")
    return is_partial(path) or (is_key and ending in ("npy", "json"))


def _identity(sound: Sound) -> list[object]:
    """What changes if a file does."""
    state = sound.path.stat()
    return [str(sound.path.resolve()), sound.stream, state.st_size, state.st_mtime_ns]
