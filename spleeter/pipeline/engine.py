"""The engine: a chunk of a song -> its stems. The arithmetic of separation, on whatever device the backend has.

samples -> STFT -> magnitudes -> network -> masks -> stem spectra -> inverse STFT -> samples of the stems

All but the network is done in blocks of frames, side by side in threads on a CPU: a block's temporaries stay in the
caches, and blocks do not depend on each other until their ends are overlap-added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, compress, islice

import numpy as np
import numpy.typing as npt

from spleeter.backends.base import Backend
from spleeter.configuration import Configuration
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.namespace import array_namespace
from spleeter.dsp.stft import chunk_length, inverse_stft, magnitudes, stft
from spleeter.dsp.tiling import Tiling
from spleeter.dsp.wiener import SpatialModel, second_moments, soft_masks, spatial_model, wiener_filter
from spleeter.types import Array
from spleeter.utils.threads import ThreadMap

__all__ = ["Carry", "Chunk", "ChunkStems", "Engine"]


@dataclass(frozen=True)
class Carry:
    """What a chunk leaves over for the next, on the device.

    Attributes:
        samples: of the stems to be synthesised, for the next chunk to add to: (stems, channels, samples).
        estimates: so far, of the frames that the chunk's segments extend beyond it: (stems, channels, frames, F).
    """

    samples: Array
    estimates: Array


@dataclass(frozen=True)
class Chunk:
    """Consecutive hops of a song.

    Attributes:
        waveform: (channels, samples), on the host, spans all the frames of the segments that begin in the hops.
        carry: of the chunk before it, or `Engine.empty_carry`.
        n_hops: how many.
        n_threads: CPU threads to compute it with.
    """

    waveform: npt.NDArray[np.float32]
    carry: Carry
    n_hops: int
    n_threads: int


@dataclass(frozen=True)
class ChunkStems:
    """The stems of a chunk.

    Attributes:
        fetch: waits for the complete samples (stems, samples, channels), and returns them.
        carry: for the next chunk.
    """

    fetch: Callable[[], npt.NDArray[np.float32]]
    carry: Carry


@dataclass(frozen=True)
class _Hops:
    """Hops of a song that have been analysed.

    Attributes:
        waveform: (channels, samples), spans the hops' segments.
        blocks: of the hops' frames: the stems' estimates (stems, channels, frames, F), and the mixture's spectra
            (channels, frames, bins).
    """

    waveform: Array
    blocks: list[tuple[Array, Array]]


class Engine:
    """Separates chunks of one or several songs, giving the network the segments of all of them in batches.

    Args:
        configuration: audio and separation keys.
        backend: the network.
        tiling: where the segments that the network is given lie.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.
        exact: whether the Wiener filter is the original's, which drops what is far softer than the loudest, and the
            gain too, which is 1 at the usual frame_step alone.
    """

    def __init__(
        self, configuration: Configuration, backend: Backend, tiling: Tiling, mwf: bool = False, exact: bool = False
    ) -> None:
        self._configuration, self._backend, self._device = configuration, backend, backend.device
        self._tiling, self._mwf, self._exact = tiling, mwf, exact
        self._weights = self._device.put(tiling.weights())
        self._xp = array_namespace(self._weights)
        n_stems = len(configuration.instrument_list)
        # The original scales by 2/3 at any frame_step: see `inverse_stft`.
        self._gain = configuration.frame_length / (4 * configuration.frame_step) if exact else 1.0
        # Average masks cover every bin, so the last stem is what the others leave of the mixture.
        self._last_is_rest = n_stems > 1 and configuration.mask_extension == "average" and self._gain == 1
        self._n_synthesised = n_stems - self._last_is_rest
        self._map = ThreadMap(partial(np.seterr, all="ignore"))  # overflow is each thread's own to ignore, as below

    @property
    def capacity(self) -> int:
        """Hops whose segments fill a batch of the network."""
        return max(1, self._device.batching.segments // len(self._tiling.offsets))

    def empty_carry(self) -> Carry:
        """The carry into a song's first chunk."""
        keys = self._configuration
        samples = self._n_synthesised, keys.n_channels, keys.frame_length - keys.frame_step
        estimates = len(keys.instrument_list), keys.n_channels, self._tiling.n_ahead, keys.F
        return Carry(*(self._device.put(np.zeros(shape, np.float32)) for shape in (samples, estimates)))

    @np.errstate(all="ignore")  # samples near float32's limits overflow, which is no reason to print warnings
    def __call__(self, chunks: Sequence[Chunk]) -> list[ChunkStems]:
        """Separate chunks; those of digital silence are not computed."""
        self._backend.n_threads = chunks[0].n_threads
        if self._device.batching.frames is not None:  # else it is a GPU, which takes all frames from one thread
            self._map.n_threads = chunks[0].n_threads
        audible = [bool(chunk.waveform.any()) for chunk in chunks]
        separated = iter(self._separate(list(compress(chunks, audible))))
        stems = [
            next(separated) if is_audible else self._fade_out(chunk)
            for chunk, is_audible in zip(chunks, audible, strict=True)
        ]
        fetches = self._device.fetch([samples for samples, _ in stems])
        return [ChunkStems(fetch, carry) for fetch, (_, carry) in zip(fetches, stems, strict=True)]

    def _separate(self, chunks: Sequence[Chunk]) -> list[tuple[Array, Carry]]:
        """The stems (stems, samples, channels) of chunks that are not silent, and their carries."""
        analysed: list[list[_Hops]] = [[] for _ in chunks]
        ahead = [chunk.carry.estimates for chunk in chunks]
        n_hops = self._device.batching.hops
        for first in range(0, max((chunk.n_hops for chunk in chunks), default=0), n_hops):
            numbers = [number for number, chunk in enumerate(chunks) if first < chunk.n_hops]
            waveforms = [self._waveform(chunks[number], first, n_hops) for number in numbers]
            hops = self._analyse(waveforms, [ahead[number] for number in numbers])
            for number, (of_song, left_over) in zip(numbers, hops, strict=True):
                analysed[number].append(of_song)
                ahead[number] = left_over
        return [self._synthesise(*song) for song in zip(analysed, chunks, ahead, strict=True)]

    def _fade_out(self, chunk: Chunk) -> tuple[Array, Carry]:
        """The stems of digital silence: what is carried into them, and then zeros."""
        carried = chunk.carry.samples
        n_complete = chunk.n_hops * self._tiling.hop * self._configuration.frame_step
        waveform = self._zeros((*carried.shape[:-1], n_complete + carried.shape[-1]))
        waveform[..., : carried.shape[-1]] = carried
        stems = self._interleave(self._zeros((carried.shape[1], n_complete)), [waveform[..., :n_complete]])
        left_over = self._xp.asarray(waveform[..., n_complete:], copy=True)
        return stems, Carry(left_over, self._xp.zeros_like(chunk.carry.estimates))

    def _waveform(self, chunk: Chunk, first: int, n_hops: int) -> Array:
        """What the segments of some of a chunk's hops span, on the device: (channels, samples)."""
        keys = self._configuration
        frames = min(n_hops, chunk.n_hops - first) * self._tiling.hop + self._tiling.n_ahead
        start = first * self._tiling.hop * keys.frame_step
        span = chunk_length(frames, keys.frame_length, keys.frame_step)
        return self._device.put(chunk.waveform[:, start : start + span])

    def _analyse(self, waveforms: Sequence[Array], ahead: Sequence[Array]) -> list[tuple[_Hops, Array]]:
        """Estimate hops of several songs together.

        Args:
            waveforms: of each song (channels, samples).
            ahead: of each song the estimates so far of the frames that the segments before extend into.

        Returns:
            For each song its hops, and the estimates so far of the frames that these extend into.
        """
        spectra, mixtures = zip(*map(self._transform, waveforms), strict=True)
        analysed = []
        for number, segments in enumerate(self._estimate(mixtures)):
            mean = self._average(segments, ahead[number])
            n_frames = mean.shape[2] - self._tiling.n_ahead
            blocks = [mean[..., block, :] for block in self._blocks(n_frames)]
            left_over = self._xp.asarray(mean[..., n_frames:, :], copy=True)
            hops = _Hops(waveforms[number], list(zip(blocks, spectra[number], strict=True)))
            analysed.append((hops, left_over))
        return analysed

    def _transform(self, waveform: Array) -> tuple[list[Array], Array]:
        """The spectra of the hops' own frames, in blocks, and the magnitudes (channels, frames, F) of all frames."""
        keys, n_ahead = self._configuration, self._tiling.n_ahead
        n_frames = (waveform.shape[-1] - keys.frame_length) // keys.frame_step + 1
        mixture = self._empty((keys.n_channels, n_frames, keys.F))

        def transform(block: slice) -> Array:
            span = slice(block.start * keys.frame_step, (block.stop - 1) * keys.frame_step + keys.frame_length)
            spectra = stft(waveform[:, span], keys.frame_length, keys.frame_step)
            mixture[:, block, :] = magnitudes(spectra[..., : keys.F])
            return spectra

        of_hops = self._blocks(n_frames - n_ahead)
        spectra = self._map(transform, [*of_hops, *self._blocks(n_frames, n_frames - n_ahead)])
        return spectra[: len(of_hops)], mixture

    def _estimate(self, mixtures: Sequence[Array]) -> Iterator[list[Array]]:
        """The estimates (stems, channels, T, F) of all segments of each song's magnitudes (channels, frames, F)."""
        T, n_ahead, hop = self._tiling.T, self._tiling.n_ahead, self._tiling.hop
        starts = [self._tiling.starts((mixture.shape[1] - n_ahead) // hop) for mixture in mixtures]
        segments = [
            mixture[:, start : start + T, :]
            for mixture, of_song in zip(mixtures, starts, strict=True)
            for start in of_song
        ]
        estimates: list[Array] = []
        batch_size = self._device.batching.segments
        for first in range(0, len(segments), batch_size):
            batch = self._backend.estimate(self._xp.stack(segments[first : first + batch_size]))
            estimates += [batch[:, number, ...] for number in range(batch.shape[1])]
        remaining = iter(estimates)
        return (list(islice(remaining, len(of_song))) for of_song in starts)

    def _average(self, segments: Sequence[Array], carried: Array) -> Array:
        """The weighted mean (stems, channels, frames, F) of the segments that cover each frame.

        Args:
            segments: estimates (stems, channels, T, F), in the order of the tiling.
            carried: the sum so far for the first frames, of the segments before: (stems, channels, frames, F).
        """
        tiling = self._tiling
        if not tiling.n_ahead:  # no frame is covered twice
            return self._xp.concat(segments, axis=2) if len(segments) > 1 else segments[0]
        n_hops = len(segments) // len(tiling.offsets)
        n_stems, n_channels, T, F = segments[0].shape
        mean = self._zeros((n_stems, n_channels, n_hops * tiling.hop + tiling.n_ahead, F))
        mean[..., : tiling.n_ahead, :] = carried

        def add(segment: Array, start: int, block: slice) -> None:
            covered = slice(start + block.start, start + block.stop)
            mean[..., covered, :] += segment[..., block, :] * self._weights[block, :]

        for segment, start in zip(segments, tiling.starts(n_hops), strict=True):
            self._map(partial(add, segment, start), self._blocks(T))
        return mean

    def _synthesise(self, analysed: Sequence[_Hops], chunk: Chunk, ahead: Array) -> tuple[Array, Carry]:
        """A chunk's stems (stems, samples, channels) from its hops, and its carry."""
        length, step = self._configuration.frame_length, self._configuration.frame_step
        stem_spectra = partial(self._filter, self._spatial_model(analysed)) if self._mwf else self._mask
        stems, carried = [], chunk.carry.samples
        for hops in analysed:
            waveforms = self._map(
                lambda block: inverse_stft(stem_spectra(*block), length, step, self._gain), hops.blocks
            )
            complete = []
            for waveform in waveforms:  # (stems, channels, samples), which the one before is overlap-added to
                waveform[..., : carried.shape[-1]] += carried
                n_complete = waveform.shape[-1] - carried.shape[-1]
                complete.append(waveform[..., :n_complete])
                carried = waveform[..., n_complete:]
            stems.append(self._interleave(hops.waveform, complete))
        samples = self._xp.concat(stems, axis=1) if len(stems) > 1 else stems[0]
        return samples, Carry(self._xp.asarray(carried, copy=True), ahead)

    def _mask(self, estimates: Array, spectra: Array) -> Array:
        """The spectra (stems, channels, frames, bins or F) of the stems to be synthesised, by ratio masks."""
        masks = ratio_masks(estimates, self._configuration.separation_exponent)
        return apply_mask(masks[: self._n_synthesised, ...], spectra, self._configuration.mask_extension)

    def _filter(self, model: SpatialModel, estimates: Array, spectra: Array) -> Array:
        """The same by the Wiener filter; above F, which it cannot reach, by soft masks."""
        F, masks = self._configuration.F, soft_masks(estimates)
        stems = apply_mask(masks[: self._n_synthesised, ...], spectra, self._configuration.mask_extension)
        stems[..., :F] = wiener_filter(masks, spectra[..., :F], model, self._n_synthesised)
        return stems

    def _spatial_model(self, analysed: Sequence[_Hops]) -> SpatialModel:
        """The Wiener filter's model of all the hops of a chunk."""
        F, blocks = self._configuration.F, [block for hops in analysed for block in hops.blocks]
        moments = self._map(lambda block: second_moments(soft_masks(block[0]), block[1][..., :F]), blocks)
        return spatial_model(moments, as_norbert=self._exact)

    def _interleave(self, mixture: Array, synthesised: Sequence[Array]) -> Array:
        """All stems (stems, samples, channels), from consecutive blocks of those that are synthesised.

        If the last one is not, it is what the others leave of the mixture.

        Args:
            mixture: (channels, samples), at least as many as the blocks have.
            synthesised: of each block (stems, channels, samples).
        """
        ends = list(accumulate((block.shape[-1] for block in synthesised), initial=0))
        n_synthesised, n_channels, _ = synthesised[0].shape
        stems = self._empty((n_synthesised + self._last_is_rest, ends[-1], n_channels))

        def interleave(number: int) -> None:
            block, span = synthesised[number], slice(ends[number], ends[number + 1])
            for channel in range(n_channels):  # one after the other: NumPy is slow along an axis as short as this
                stems[:n_synthesised, span, channel] = block[:, channel, :]
                if self._last_is_rest:
                    rest = mixture[channel, span] - block[0, channel, :]
                    for stem in range(1, n_synthesised):
                        rest -= block[stem, channel, :]
                    stems[n_synthesised, span, channel] = rest

        self._map(interleave, range(len(synthesised)))
        return stems

    def _blocks(self, stop: int, start: int = 0) -> list[slice]:
        """Blocks of frames, as long as the device's batching says."""
        size = self._device.batching.frames or max(1, stop - start)
        return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]

    def _zeros(self, shape: tuple[int, ...]) -> Array:
        return self._xp.zeros(shape, dtype=self._xp.float32, device=self._weights.device)

    def _empty(self, shape: tuple[int, ...]) -> Array:
        return self._xp.empty(shape, dtype=self._xp.float32, device=self._weights.device)
