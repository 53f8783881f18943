"""Blocks of a song <-> chunks of segments: blocks of waveform in, blocks of stems out.

    blocks of samples -> chunks of frames -> STFT -> network -> masks -> inverse STFT -> blocks of stems

A whole waveform is separated in the same way, as one block. Blocks of any size are regrouped into chunks that are
counted from the first frame, so what comes out does not depend on how the samples came in: to the last bit on a CPU,
to rounding on a GPU, where chunks of several songs may be computed together.
Nothing grows with the length: one chunk and its overlap with the next is all that is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from spleeter.audio.convertor import is_finite
from spleeter.backends.base import Backend
from spleeter.configuration import Configuration
from spleeter.dsp.stft import chunk_length, n_frames
from spleeter.dsp.tiling import Tiling
from spleeter.errors import AudioError
from spleeter.pipeline.engine import Chunk, Engine
from spleeter.pipeline.workers import BatchWorker
from spleeter.types import Waveform
from spleeter.utils.cpus import available_cpus

__all__ = ["Pipeline", "StemBlock"]

_WIENER_SEGMENTS = 1
"""Segments of the Wiener filter's statistics: 12 s. Longer chunks take more memory and are no better."""

_EXACT_WIENER_SEGMENTS = 4
"""The same where it is to be the original's, which filters a song as a whole: that of songs up to 48 s."""


@dataclass(frozen=True)
class StemBlock:
    """Consecutive samples of a song.

    Attributes:
        mixture: (samples, channels).
        fetch: waits until the stems (stems, samples, channels) are on the host, and returns them. Raises AudioError
            if the numbers that they are computed with overflowed.
    """

    mixture: Waveform
    fetch: Callable[[], npt.NDArray[np.float32]]


class Pipeline:
    """A network with the configuration around it, from waveform to waveform.

    It may be used from several threads at once: one thread of its own computes for all of them, in turn on a CPU,
    together on a GPU.

    Args:
        configuration: audio and separation keys.
        backend: the network.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.
        tiling: where the segments that the network is given lie; None puts them end to end.
        exact: whether the Wiener filter is the original's, which drops what is far softer than the loudest, and the
            gain of stems whose frame_step is no quarter of a frame.
        n_threads: CPU threads that compute, at most; None is one for each core that this process may use.
    """

    def __init__(
        self,
        configuration: Configuration,
        backend: Backend,
        mwf: bool = False,
        tiling: Tiling | None = None,
        exact: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self._n_threads = n_threads or available_cpus()
        self._configuration, self._backend = configuration, backend
        self._tiling = tiling or Tiling.of(configuration.T)
        n_segments = _EXACT_WIENER_SEGMENTS if exact else _WIENER_SEGMENTS
        n_wiener_hops = max(1, round(n_segments * configuration.T / self._tiling.hop))
        self._hops_of_chunk = n_wiener_hops if mwf else backend.device.batching.hops
        engine = Engine(configuration, backend, self._tiling, mwf, exact)
        self._empty_carry = engine.empty_carry
        self._compute = BatchWorker(engine, lambda chunk: chunk.n_hops, engine.capacity)

    def separate(self, blocks: Iterable[Waveform]) -> Iterator[StemBlock]:
        """Separate a waveform that comes in blocks (samples, channels), of any sizes, as it comes.

        Yields:
            Blocks of at most a second that, put end to end, are as long as the input.
        """
        lead = self._configuration.frame_length  # the zeros in front, which are cut off again
        carry = self._empty_carry()
        n_threads = min(self._backend.n_threads, self._n_threads)
        for waveform, n_hops, n_new in self._chunks(blocks):
            stems = self._compute(Chunk(waveform, carry, n_hops, n_threads))
            carry = stems.carry
            skipped, lead = min(lead, n_new), max(0, lead - n_new)
            for first in range(skipped, n_new, self._configuration.sample_rate):
                span = slice(first, min(first + self._configuration.sample_rate, n_new))
                mixture = waveform[:, span].T
                yield StemBlock(mixture, partial(_fetch, stems.fetch, span, mixture))

    def _span(self, n_hops: int) -> int:
        """How many samples the segments that begin in some hops span."""
        frames = n_hops * self._tiling.hop + self._tiling.n_ahead
        return chunk_length(frames, self._configuration.frame_length, self._configuration.frame_step)

    def _chunks(self, blocks: Iterable[Waveform]) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
        """Regroup blocks (samples, channels) into the waveforms (channels, samples) of chunks of whole hops.

        With each come its hops, and how many of its samples are new. It spans all frames of the hops' segments, so it
        repeats the end of the one before.
        """
        advance = self._hops_of_chunk * self._tiling.hop * self._configuration.frame_step
        span = self._span(self._hops_of_chunk)
        n_waiting = self._configuration.frame_length
        waiting = [np.zeros((self._configuration.n_channels, n_waiting), np.float32)]
        received = 0
        for block in blocks:
            received += len(block)
            waiting.append(block.T)
            n_waiting += len(block)
            if n_waiting >= span:
                buffer = np.concatenate(waiting, axis=-1)
                while buffer.shape[-1] >= span:
                    yield buffer[:, :span], self._hops_of_chunk, advance
                    buffer = buffer[:, advance:]
                waiting, n_waiting = [buffer], buffer.shape[-1]
        if received:
            yield from self._last_chunks(np.concatenate(waiting, axis=-1))

    def _last_chunks(self, buffer: npt.NDArray[np.float32]) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
        """The end of the waveform, with zeros up to the end of the last segment."""
        length, step, hop = self._configuration.frame_length, self._configuration.frame_step, self._tiling.hop
        n_left = buffer.shape[-1]
        n_hops = -(-n_frames(n_left - length, length, step) // hop)
        for first in range(0, n_hops, self._hops_of_chunk):
            n_now = min(self._hops_of_chunk, n_hops - first)
            start, span = first * hop * step, self._span(n_now)
            waveform = buffer[:, start : start + span]
            padded = np.pad(waveform, [(0, 0), (0, span - waveform.shape[-1])])
            yield padded, n_now, min(n_now * hop * step, n_left - start)


def _fetch(fetch: Callable[[], npt.NDArray[np.float32]], span: slice, mixture: Waveform) -> npt.NDArray[np.float32]:
    stems = fetch()[:, span]
    if not is_finite(stems):
        raise AudioError(
            f"the stems are NaN or infinite where the song reaches {np.abs(mixture).max():.3g} times full scale: "
            "scale samples to ±1 if that is far beyond it; otherwise the model is damaged"
        )
    return stems
