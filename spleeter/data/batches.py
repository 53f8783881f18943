"""Which segments are trained on at which step: a function of the seed and the step, and of nothing that came before.

So a training that stopped goes on as if it had not, and several devices share a batch without a word.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spleeter.configuration import Configuration
from spleeter.data.augmentation import Change, draw_change
from spleeter.data.excerpts import SongExcerpts
from spleeter.types import Waveform

_ORDER, _SEGMENT = 0, 1
"""What random numbers are for: the same seed gives each its own."""


@dataclass(frozen=True)
class Segment:
    """A segment to be cut and changed: what was drawn for one place in a batch.

    Args:
        excerpts: which excerpt each stem is taken from; all the same, unless stems are remixed.
        starts: where the segment begins in each, in samples.
        n_samples: that are read.
        change: of the sound.
    """

    excerpts: tuple[int, ...]
    starts: tuple[int, ...]
    n_samples: int
    change: Change

    @property
    def is_remix(self) -> bool:
        """Whether the stems are not of one piece."""
        return len(set(zip(self.excerpts, self.starts, strict=True))) > 1


@dataclass(frozen=True)
class Batch:
    """Segments, as sound.

    Args:
        mixtures: float32 (batch, channels, samples).
        stems: float32 (stems, batch, channels, samples).
        segments: what they are.
        songs: the places of the songs that each segment is of, for messages.
    """

    mixtures: Tensor
    stems: Tensor
    segments: tuple[Segment, ...]
    songs: tuple[str, ...]

    def part(self, index: int, n_parts: int) -> Batch:
        """Every `n_parts`-th of its segments, from number `index` on."""
        chosen = slice(index, None, n_parts)
        return Batch(self.mixtures[chosen], self.stems[:, chosen], self.segments[chosen], self.songs[chosen])


class Excerpts:
    """All excerpts of a data set, one after the other, and segments of them.

    Args:
        songs: whose excerpts they are.
        configuration: what a segment is.

    Attributes:
        n_stems, n_channels: of each segment.
    """

    def __init__(self, songs: Iterable[SongExcerpts], configuration: Configuration) -> None:
        self._places = [(song, index) for song in songs for index in range(song.shape[0])]
        self._configuration = configuration
        self.n_stems, self.n_channels = len(configuration.instrument_list), configuration.n_channels
        stretch = 1 + configuration.augmentation.time_stretch
        more = (ceil(configuration.T * stretch) - configuration.T) * configuration.frame_step
        self._n_samples = configuration.segment_samples + more

    def __len__(self) -> int:
        return len(self._places)

    def middle(self, excerpt: int) -> Segment:
        """The segment in the middle of an excerpt, unchanged."""
        n_samples = self._configuration.segment_samples
        start = max(0, self._length(excerpt) - n_samples) // 2
        return Segment((excerpt,) * self.n_stems, (start,) * self.n_stems, n_samples, Change.none(self.n_stems))

    def drawn(self, position: int) -> Segment:
        """The segment at a position of the training, counted from its beginning.

        Every excerpt is taken once before any is taken again, in an order that changes each time.
        """
        seed = self._configuration.random_seed
        epoch, place = divmod(position, len(self))
        excerpt = int(_order(seed, epoch, len(self))[place])
        generator = np.random.default_rng([seed, _SEGMENT, position])
        augmentation = self._configuration.augmentation
        excerpts, starts = [excerpt] * self.n_stems, [self._start(excerpt, generator)] * self.n_stems
        for stem in range(self.n_stems):
            if generator.random() < augmentation.remix:
                excerpts[stem] = int(generator.integers(len(self)))
                starts[stem] = self._start(excerpts[stem], generator)
        change = draw_change(augmentation, self.n_stems, generator)
        return Segment(tuple(excerpts), tuple(starts), self._n_samples, change)

    def read(self, segment: Segment, mixture: Waveform, stems: Waveform) -> None:
        """Read and mix a segment into arrays for it: (channels, samples), and (stems, channels, samples).

        What a song's own mixture holds beyond its stems stays in the mixture, unless stems are remixed.
        """
        change = segment.change
        for stem, excerpt in enumerate(segment.excerpts):
            gain, swap = change.gains[stem], change.swaps[stem]
            self._read(excerpt, stem, segment.starts[stem], stems[stem, ::-1] if swap else stems[stem], gain)
        song, _ = self._places[segment.excerpts[0]]
        if song.shape[1] == self.n_stems or segment.is_remix:
            np.sum(stems, axis=0, out=mixture)
            return
        self._read(segment.excerpts[0], self.n_stems, segment.starts[0], mixture)
        if not change.keeps_stems:
            mixture += stems.sum(axis=0) - self._unchanged(segment)

    def song_of(self, segment: Segment) -> str:
        """The places of the songs that a segment is of."""
        return " + ".join(dict.fromkeys(self._places[excerpt][0].song.place for excerpt in segment.excerpts))

    def _unchanged(self, segment: Segment) -> Waveform:
        """The sum of a segment's stems as the song has them."""
        total = np.zeros((self.n_channels, segment.n_samples), np.float32)
        for stem, excerpt in enumerate(segment.excerpts):
            self._read(excerpt, stem, segment.starts[stem], stem_sound := np.empty_like(total))
            total += stem_sound
        return total

    def _length(self, excerpt: int) -> int:
        return self._places[excerpt][0].shape[-1]

    def _start(self, excerpt: int, generator: np.random.Generator) -> int:
        return int(generator.integers(max(0, self._length(excerpt) - self._n_samples) + 1))

    def _read(self, excerpt: int, signal: int, start: int, out: Waveform, gain: float = 1.0) -> None:
        """One signal of an excerpt from `start` on, times a gain, into (channels, samples); silence after its end."""
        song, index = self._places[excerpt]
        whole = song.sounds()[index, signal, :, start : start + out.shape[1]]
        n_samples = whole.shape[1]
        np.multiply(whole, np.float32(song.scales[index, signal] * gain), out=out[:, :n_samples])
        out[:, n_samples:] = 0


def batches(
    excerpts: Excerpts, steps: Iterable[int], batch_size: int, rank: int = 0, world: int = 1, n_threads: int = 1
) -> Generator[Batch]:
    """Yield the batch of each step; of several devices each gets its share, every `world`-th segment.

    Args:
        excerpts: to draw from.
        steps: of the training, counted from 0.
        batch_size: segments in a step, of all devices together.
        rank, world: number of this device, and how many there are.
        n_threads: that read.
    """
    with ThreadPoolExecutor(n_threads, thread_name_prefix="spleeter-batch") as threads:
        for step in steps:
            positions = range(step * batch_size + rank, (step + 1) * batch_size, world)
            yield _batch(excerpts, [excerpts.drawn(position) for position in positions], threads)


def middles(excerpts: Excerpts, batch_size: int, rank: int = 0, world: int = 1) -> Generator[Batch]:
    """Yield the middle of every excerpt, in batches of at most `batch_size`; each device gets its share."""
    segments = [excerpts.middle(excerpt) for excerpt in range(rank, len(excerpts), world)]
    with ThreadPoolExecutor(1, thread_name_prefix="spleeter-batch") as threads:
        for first in range(0, len(segments), batch_size):
            yield _batch(excerpts, segments[first : first + batch_size], threads)


def _batch(excerpts: Excerpts, segments: Sequence[Segment], threads: ThreadPoolExecutor) -> Batch:
    shape = len(segments), excerpts.n_channels, segments[0].n_samples
    mixtures, stems = np.empty(shape, np.float32), np.empty((excerpts.n_stems, *shape), np.float32)
    list(threads.map(excerpts.read, segments, mixtures, stems.swapaxes(0, 1)))
    songs = tuple(map(excerpts.song_of, segments))
    return Batch(torch.from_numpy(mixtures), torch.from_numpy(stems), tuple(segments), songs)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n: int) -> npt.NDArray[np.int64]:
    """The order in which `n` excerpts are taken in an epoch."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(n)
