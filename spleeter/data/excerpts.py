"""Excerpts of songs, decoded once and kept in a cache, from which segments are read at random.

Waveforms are kept, in 16-bit integers, and not spectrograms: they can be remixed, and augmented by gains and channel
swaps, which magnitudes cannot; they need about as much space as the original's spectrograms in 8 bits, without their
error; and the STFT of a segment is a small part of a training step. docs/training.md has the measurements.

A song has two files in the cache's folder, named by a hash of all that their content depends on:

    KEY.npy      int16 (excerpts, signals, channels, samples), memory-mapped
    KEY.json     the scales of the signals, and the result of inspection

Each is written atomically, the second last. So songs in the cache are found again, those that a kill interrupted are
cut again, and another file, configuration or version has another key. Excerpts of several configurations can lie in
one folder.

Locks, all held by open files, so that they end with their process:

    .lock            one process at a time cuts excerpts and removes old ones
    .use-TOKEN.lock  one for each training that reads from the folder: as long as there is one, nothing is removed
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from spleeter.audio.adapter import AudioAdapter
from spleeter.configuration import Configuration
from spleeter.data.inspection import Inspection, inspect_song
from spleeter.data.problems import Problem, Severity
from spleeter.data.song_list import ListedSong
from spleeter.data.tracks import AudioSource
from spleeter.errors import DatasetError
from spleeter.types import Waveform
from spleeter.utils.hidden_folder import remove_leftovers
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason
from spleeter.utils.parallel import in_parallel, until_stopped
from spleeter.utils.whole_file import write_whole

__all__ = ["CACHE_VERSION", "Cut", "ExcerptCache", "SongExcerpts"]

CACHE_VERSION = 1
"""Of the files' content; with another one all excerpts are cut again."""

_MARGIN_SECONDS = 0.5
"""Left out at the beginning and the end of a song, if more than one excerpt is cut out of it; the original's."""

_FULL_SCALE = 2**15

_USE_PREFIX = ".use-"

_VALIDATION_SECONDS = 12.0
"""The original's: it validates on the middle of each song."""


@dataclass(frozen=True)
class Cut:
    """The excerpts that are cut out of each song: `n_per_song` of `seconds`."""

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
        """The starts, in seconds, of the excerpts of a song of `duration` seconds.

        One excerpt is in the middle; several are spread evenly, as the original does.
        """
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
        inspection: its result.
        shape: (excerpts, signals, channels, samples). The signals are the instruments in the configuration's order
            and then, if the song has one of its own, the mixture.
        scales: float32 (excerpts, signals), factors from integers to waveforms with full scale at ±1.
        open: maps the integers into memory, int16 of this shape. A map keeps a file open, of which a process may have
            few at a time. Raises DatasetError if the file is gone or damaged.
    """

    song: ListedSong
    inspection: Inspection
    shape: tuple[int, ...]
    scales: npt.NDArray[np.float32]
    open: Callable[[], npt.NDArray[np.int16]]


class ExcerptCache:
    """A folder of excerpts of the songs of one data set.

    Args:
        folder: made if need be.
        cut: the excerpts that are cut out of each song.
        configuration: gives the signals, their sample rate and their number of channels.
        adapter: reads the songs' files; None takes the default.
    """

    def __init__(
        self, folder: Path, cut: Cut, configuration: Configuration, adapter: AudioAdapter | None = None
    ) -> None:
        self._folder, self._cut, self._configuration = folder, cut, configuration
        self._adapter = adapter or AudioAdapter.default()

    @contextmanager
    def build(
        self, songs: Sequence[ListedSong], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Iterator[tuple[list[SongExcerpts], list[Problem]]]:
        """Provide the excerpts of all songs: those that are not in the cache yet are cut, with all cores.

        If another process builds in the same folder, this one waits for it. Excerpts of other songs, settings and
        versions are removed, unless somebody uses the folder. Those of these songs stay within this context.

        Args:
            songs: to cut the excerpts out of.
            progress: called with the songs done and all songs, at least twice a second; may raise to stop.

        Yields:
            The songs' excerpts, in their order but for those with problems, and the problems.

        Raises:
            DatasetError: if the folder cannot be written.
        """
        with ExitStack() as use:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._locked(lambda: progress(0, len(songs))):
                    keyed = [(song, self._key(song)) for song in songs]
                    self._remove_all_but(key for _, key in keyed)
                    use.enter_context(self._in_use())
                    stopped = Event()
                    results = in_parallel(lambda pair: self._load_or_cut(*pair, stopped), keyed, progress, stopped)
            except OSError as error:
                raise DatasetError(
                    f"cannot keep excerpts in {display_name(self._folder)}: {reason(error)}"
                ) from error
            yield [made for made, _ in results if made], [problem for _, found in results for problem in found]

    def _load_or_cut(self, song: ListedSong, key: str, stopped: Event) -> tuple[SongExcerpts | None, list[Problem]]:
        """A song's excerpts and its problems; None for the excerpts of a song that is not fit for training."""
        if (cached := self._load(song, key)) is not None:
            return cached
        inspected = inspect_song(song, self._configuration, self._adapter, stopped)
        if inspected.inspection is None:
            return None, inspected.problems
        self._save(key, song, inspected.inspection, inspected.problems, stopped)
        if (made := self._load(song, key)) is None:
            raise DatasetError(
                f"excerpts just written to {display_name(self._folder)} are gone: is another program using it?"
            )
        return made

    def _cut_out(self, song: ListedSong, duration: float, path: Path, stopped: Event) -> npt.NDArray[np.float32]:
        """Write all excerpts of a song into a file, one after the other; returns their scales (excerpts, signals)."""
        starts, signals = self._cut.starts(duration), [song.sources[name] for name in self._signals(song)]
        rate, n_channels = self._configuration.sample_rate, self._configuration.n_channels
        n_samples = max(self._configuration.segment_samples, round(min(self._cut.seconds, duration) * rate))
        shape = (len(starts), len(signals), n_channels, n_samples)
        scales = np.empty(shape[:2], np.float32)
        # Written and not memory-mapped: so a full disk raises an error, and does not end the process.
        with path.open("wb") as file:
            header = {"descr": "<i2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for excerpt, start in enumerate(starts):
                for signal, sources in enumerate(signals):
                    samples, scales[excerpt, signal] = _to_16_bits(self._read(sources, start, stopped)[:n_samples])
                    n_missing = n_samples - samples.shape[1]  # lost in resampling
                    file.write(np.pad(samples, ((0, 0), (0, n_missing))).tobytes())
        return scales

    def _read(self, sources: Iterable[AudioSource], start: float, stopped: Event) -> Waveform:
        """The sum of some files in an excerpt, (samples, channels)."""
        waveforms = []
        for source in sources:
            settings = start, self._cut.seconds, self._configuration.sample_rate, self._configuration.n_channels
            with source.adapter(self._adapter).open(source.path, *settings) as reader:
                waveforms.append(np.concatenate(list(until_stopped(reader.blocks(), stopped))))
        n_samples = min(map(len, waveforms))
        total: Waveform = np.sum([waveform[:n_samples] for waveform in waveforms], axis=0, dtype=np.float32)
        return total

    def _signals(self, song: ListedSong) -> list[str]:
        instruments, mix_name = self._configuration.instrument_list, self._configuration.mix_name
        return [*instruments, mix_name] if mix_name in song.sources else list(instruments)

    def _key(self, song: ListedSong) -> str:
        """A hash of all that the content of a song's files depends on."""
        content = {
            "version": CACHE_VERSION,
            "cut": asdict(self._cut),
            "sample_rate": self._configuration.sample_rate,
            "n_channels": self._configuration.n_channels,
            "duration": song.duration,
            "adapter": f"{type(self._adapter).__module__}.{type(self._adapter).__qualname__}",
            "signals": [[name, [_identity(source) for source in song.sources[name]]] for name in self._signals(song)],
        }
        return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def _load(self, song: ListedSong, key: str) -> tuple[SongExcerpts, list[Problem]] | None:
        """A song's excerpts in the cache, and its warnings; None if they are not there, or not whole."""
        path = self._folder / f"{key}.npy"
        try:
            found: Mapping[str, Any] = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            shape = np.load(path, mmap_mode="r").shape
            problems = [Problem(Severity.WARNING, song.place, message) for message in found["warnings"]]
            inspection, scales = Inspection(**found["inspection"]), np.array(found["scales"], np.float32)
        except (FileNotFoundError, EOFError, ValueError, KeyError, TypeError):
            return None
        if shape[-1] < self._configuration.segment_samples or scales.shape != shape[:2]:
            return None
        return SongExcerpts(song, inspection, shape, scales, partial(_map, path)), problems

    def _save(
        self, key: str, song: ListedSong, inspection: Inspection, problems: list[Problem], stopped: Event
    ) -> None:
        scales: list[list[float]] = []
        write_whole(
            self._folder / f"{key}.npy",
            lambda path: scales.extend(self._cut_out(song, inspection.duration, path, stopped).tolist()),
        )
        found = {
            "inspection": asdict(inspection),
            "warnings": [problem.message for problem in problems],
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
                    logger.info("%s: another process is using it; waiting", display_name(self._folder))
                waits = True
        try:
            yield
        finally:
            lock.release()

    def _remove_all_but(self, keys: Iterable[str]) -> None:
        """Remove what killed processes left, and excerpts of other keys if nobody uses them; nothing else."""
        useful, is_used = set(keys), self._is_used()
        remove_leftovers(self._folder)
        stale = [path for path in self._folder.iterdir() if _is_excerpts(path) and path.stem not in useful]
        if is_used or not stale:
            return
        for path in stale:
            path.unlink(missing_ok=True)
        n_songs = sum(path.suffix == ".npy" for path in stale)
        logger.info(
            "%s: removed excerpts of other files or settings, of %d song(s)", display_name(self._folder), n_songs
        )

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Within this context no process removes excerpts from the folder."""
        lock = FileLock(self._folder / f"{_USE_PREFIX}{secrets.token_hex(6)}.lock")
        lock.acquire()
        try:
            yield
        finally:
            lock.release()
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)

    def _is_used(self) -> bool:
        """Whether a training reads from the folder; removes the locks of those that were killed."""
        for path in self._folder.glob(f"{_USE_PREFIX}*.lock"):
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                return True
            lock.release()
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return False


def _map(path: Path) -> npt.NDArray[np.int16]:
    """A file of excerpts, mapped into memory. Raises DatasetError."""
    try:
        excerpts: npt.NDArray[np.int16] = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(
            f"excerpts in {display_name(path.parent)} are gone or damaged ({reason(error)}): start again, and they "
            "are cut again"
        ) from error
    return excerpts


def _to_16_bits(waveform: Waveform) -> tuple[npt.NDArray[np.int16], np.float32]:
    """Quantise a waveform (samples, channels) to int16 (channels, samples); also returns the scale.

    The scale is the step of 16-bit files, so that their samples are kept exactly; it is greater only where full scale
    is exceeded.
    """
    scale = np.float32(max(1 / _FULL_SCALE, float(np.abs(waveform).max(initial=0.0)) / (_FULL_SCALE - 1)))
    samples = np.rint(waveform.T / scale).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    return samples.astype("<i2"), scale


def _is_excerpts(path: Path) -> bool:
    is_key = len(path.stem) == 32 and not set(path.stem) - set("0123456789abcdef")
    return is_key and path.suffix in (".npy", ".json")


def _identity(source: AudioSource) -> list[object]:
    """Path, stream, size and modification time of a file: another content has another identity."""
    state = source.path.stat()
    return [str(source.path.resolve()), source.stream, state.st_size, state.st_mtime_ns]
