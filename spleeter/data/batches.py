"""Excerpts -> batches of segments. Which segments a step trains on is a function of the seed and the step alone.

So a training that was stopped goes on as if it had not been, and processes that train together need not communicate
to share a batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt

from spleeter.configuration import Configuration
from spleeter.data.augmentation import Transform, draw_transform
from spleeter.data.excerpts import SongExcerpts
from spleeter.types import Waveform

__all__ = ["Batch", "Segment", "SegmentSampler", "training_batches", "validation_batches"]

_ORDER_STREAM, _SEGMENT_STREAM = 0, 1
"""Independent streams of random numbers of one seed; `spleeter.training.step` has number 2."""


@dataclass(frozen=True)
class Segment:
    """One item of a batch, as it was drawn: what is cut out of which excerpts, and how it is changed.

    Args:
        excerpts: index of the excerpt that each stem is cut out of; all the same, unless stems are remixed.
        starts: first sample of the segment in each of them.
        n_samples: that are read.
        transform: that is applied.
    """

    excerpts: tuple[int, ...]
    starts: tuple[int, ...]
    n_samples: int
    transform: Transform

    @property
    def is_remix(self) -> bool:
        """Whether the stems are of different excerpts, or of different places in one."""
        return len(set(zip(self.excerpts, self.starts, strict=True))) > 1


@dataclass(frozen=True)
class Batch:
    """The waveforms of segments.

    Args:
        mixtures: float32 (batch, channels, samples).
        stems: float32 (stems, batch, channels, samples).
        segments: as they were drawn, (batch,).
        songs: where the songs of each segment are listed, for messages, (batch,).
    """

    mixtures: Waveform
    stems: Waveform
    segments: tuple[Segment, ...]
    songs: tuple[str, ...]

    def micro_batch(self, index: int, n_micro_batches: int) -> Batch:
        """Every `n_micro_batches`-th of its segments, from number `index` on; the arrays are views."""
        chosen = slice(index, None, n_micro_batches)
        return Batch(self.mixtures[chosen], self.stems[:, chosen], self.segments[chosen], self.songs[chosen])


class SegmentSampler:
    """Draws segments from the excerpts of a data set, and reads them.

    Args:
        songs: whose excerpts are joined, one song after the other.
        configuration: gives the length of a segment, the augmentation and the seed.

    Attributes:
        n_stems, n_channels: of each segment.
    """

    def __init__(self, songs: Iterable[SongExcerpts], configuration: Configuration) -> None:
        self._excerpts = [(song, index) for song in songs for index in range(song.shape[0])]
        self._configuration = configuration
        self.n_stems, self.n_channels = len(configuration.instrument_list), configuration.n_channels
        max_tempo = 1 + configuration.augmentation.time_stretch
        n_extra_frames = ceil(configuration.T * max_tempo) - configuration.T
        self._n_samples = configuration.segment_samples + n_extra_frames * configuration.frame_step

    def __len__(self) -> int:
        """The number of excerpts."""
        return len(self._excerpts)

    def middle(self, excerpt: int) -> Segment:
        """The segment in the middle of an excerpt, not augmented."""
        n_samples = self._configuration.segment_samples
        start = max(0, self._length(excerpt) - n_samples) // 2
        identity = Transform.identity(self.n_stems)
        return Segment((excerpt,) * self.n_stems, (start,) * self.n_stems, n_samples, identity)

    def draw(self, position: int) -> Segment:
        """Draw the segment at a position of the training, counted over all steps from its beginning.

        Every excerpt is taken once before any is taken again, in another order each epoch.
        """
        seed = self._configuration.random_seed
        epoch, place = divmod(position, len(self))
        excerpt = int(_order(seed, epoch, len(self))[place])
        generator = np.random.default_rng([seed, _SEGMENT_STREAM, position])
        augmentation = self._configuration.augmentation
        excerpts, starts = [excerpt] * self.n_stems, [self._draw_start(excerpt, generator)] * self.n_stems
        for stem in range(self.n_stems):
            if generator.random() < augmentation.remix:
                excerpts[stem] = int(generator.integers(len(self)))
                starts[stem] = self._draw_start(excerpts[stem], generator)
        transform = draw_transform(augmentation, self.n_stems, generator)
        return Segment(tuple(excerpts), tuple(starts), self._n_samples, transform)

    def read(self, segment: Segment, mixture: Waveform, stems: Waveform) -> None:
        """Read a segment, apply gains and swaps, and mix it.

        What a song's own mixture holds beyond its stems stays in the mixture, unless stems are remixed.

        Args:
            segment: as it was drawn.
            mixture: float32 (channels, samples), written to.
            stems: float32 (stems, channels, samples), written to.
        """
        transform = segment.transform
        for stem, excerpt in enumerate(segment.excerpts):
            gain, swap = transform.gains[stem], transform.swaps[stem]
            self._read(excerpt, stem, segment.starts[stem], stems[stem, ::-1] if swap else stems[stem], gain)
        song, _ = self._excerpts[segment.excerpts[0]]
        if song.shape[1] == self.n_stems or segment.is_remix:
            np.sum(stems, axis=0, out=mixture)
            return
        self._read(segment.excerpts[0], self.n_stems, segment.starts[0], mixture)
        if not transform.keeps_waveforms:
            mixture += stems.sum(axis=0) - self._sum_of_original_stems(segment)

    def songs_of(self, segment: Segment) -> str:
        """Where the songs of a segment are listed, for messages."""
        return " + ".join(dict.fromkeys(self._excerpts[excerpt][0].song.place for excerpt in segment.excerpts))

    def _sum_of_original_stems(self, segment: Segment) -> Waveform:
        total = np.zeros((self.n_channels, segment.n_samples), np.float32)
        for stem, excerpt in enumerate(segment.excerpts):
            self._read(excerpt, stem, segment.starts[stem], original := np.empty_like(total))
            total += original
        return total

    def _length(self, excerpt: int) -> int:
        return self._excerpts[excerpt][0].shape[-1]

    def _draw_start(self, excerpt: int, generator: np.random.Generator) -> int:
        return int(generator.integers(max(0, self._length(excerpt) - self._n_samples) + 1))

    def _read(self, excerpt: int, signal: int, start: int, out: Waveform, gain: float = 1.0) -> None:
        """Read a signal from `start` on, times a gain, into (channels, samples); zeros after the excerpt's end."""
        song, index = self._excerpts[excerpt]
        samples = song.open()[index, signal, :, start : start + out.shape[1]]  # int16 (channels, samples)
        n_samples = samples.shape[1]
        np.multiply(samples, np.float32(song.scales[index, signal] * gain), out=out[:, :n_samples])
        out[:, n_samples:] = 0


def training_batches(
    sampler: SegmentSampler,
    steps: Iterable[int],
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    n_threads: int = 1,
) -> Generator[Batch]:
    """Yield the batch of each step; each process gets its share of it, every `world_size`-th segment.

    Args:
        sampler: draws the segments.
        steps: of the training, counted from 0.
        batch_size: segments in a step, of all processes together.
        rank, world_size: number of this process, and how many train together.
        n_threads: that read.
    """
    with ThreadPoolExecutor(n_threads, thread_name_prefix="spleeter-batch") as threads:
        for step in steps:
            positions = range(step * batch_size + rank, (step + 1) * batch_size, world_size)
            yield _batch(sampler, [sampler.draw(position) for position in positions], threads)


def validation_batches(
    sampler: SegmentSampler, batch_size: int, rank: int = 0, world_size: int = 1
) -> Generator[Batch]:
    """Yield the middle of every excerpt, in batches of at most `batch_size`; each process gets its share."""
    segments = [sampler.middle(excerpt) for excerpt in range(rank, len(sampler), world_size)]
    with ThreadPoolExecutor(1, thread_name_prefix="spleeter-batch") as threads:
        for first in range(0, len(segments), batch_size):
            yield _batch(sampler, segments[first : first + batch_size], threads)


def _batch(sampler: SegmentSampler, segments: Sequence[Segment], threads: ThreadPoolExecutor) -> Batch:
    shape = len(segments), sampler.n_channels, segments[0].n_samples
    mixtures, stems = np.empty(shape, np.float32), np.empty((sampler.n_stems, *shape), np.float32)
    list(threads.map(sampler.read, segments, mixtures, stems.swapaxes(0, 1)))  # (batch, stems, channels, samples)
    return Batch(mixtures, stems, tuple(segments), tuple(map(sampler.songs_of, segments)))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n: int) -> npt.NDArray[np.int64]:
    """The order in which `n` excerpts are taken in an epoch."""
    return np.random.default_rng([seed, _ORDER_STREAM, epoch]).permutation(n)
