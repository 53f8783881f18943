"""An audio file read block by block: an excerpt of it, at a sample rate, with a number of channels."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from weakref import WeakValueDictionary

import numpy as np

from spleeter.audio.adapter import AudioReader
from spleeter.audio.blocks import to_blocks
from spleeter.audio.convertor import StreamResampler, is_finite, n_resampled
from spleeter.audio.decoder import Decoder
from spleeter.audio.demuxer import Demuxer
from spleeter.errors import DecodeError
from spleeter.types import FileSource, Waveform
from spleeter.utils.numbers import number
from spleeter.utils.worker_thread import WorkerThread

__all__ = ["FileReader", "cancel_readers"]

_SEEK_SECONDS = 3
"""Offsets below this are reached by decoding up to them."""

_MAX_RESAMPLED = 1 << 18
"""Samples that a block has at most after resampling."""


_open_readers: WeakValueDictionary[int, FileReader] = WeakValueDictionary()


class FileReader(AudioReader):
    """Reads an audio file through FFmpeg's libraries, with memory constant in its length.

    Arguments as for `PyAVAudioAdapter.open`. The first block is decoded on construction, so that an unusable file
    fails here and not half way. All is done in a thread of its own, so that Ctrl-C is heard even if the file stalls.

    Raises:
        DecodeError: if the file cannot be read, holds no audio, or ends before `offset`.
    """

    def __init__(
        self,
        source: FileSource,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        n_channels: int | None = None,
        stream: int | None = None,
        keep_start: bool = False,
    ) -> None:
        offset, duration, sample_rate = _checked_excerpt(offset, duration, sample_rate)
        self._thread = WorkerThread()
        self._is_closed = False
        _open_readers[id(self)] = self
        try:
            self._thread.call(
                lambda: self._open(source, offset, duration, sample_rate, n_channels, stream, keep_start)
            )
        except BaseException:
            self.close()
            raise

    def _open(
        self,
        source: FileSource,
        offset: float | None,
        duration: float | None,
        sample_rate: float | None,
        n_channels: int | None,
        stream: int | None,
        keep_start: bool,
    ) -> None:
        self._demuxer, self._decoder = _open_at(source, offset or 0.0, stream, keep_start)
        self.source_sample_rate = self._decoder.sample_rate
        self.sample_rate = round(sample_rate) if sample_rate else self.source_sample_rate
        self.n_channels = n_channels or self._decoder.n_channels
        self.metadata = self._demuxer.metadata
        self.source_bits, self.source_bitrate = self._demuxer.sample_bits, self._demuxer.bitrate
        self._start = round((offset or 0.0) * self.source_sample_rate)
        self._n_wanted = None if duration is None else round(duration * self.source_sample_rate)
        self.n_samples = self._estimated_samples()
        self._rest = self._resampled()
        self._first = next((block for block in self._rest if len(block)), None)
        if self._first is None:
            raise self._nothing_left()

    def _estimated_samples(self) -> int | None:
        n_samples = self._demuxer.estimated_length(self.source_sample_rate)
        if n_samples is None:
            return None
        n_samples = max(0, n_samples + self._decoder.lead - self._start)
        if self._n_wanted is not None:
            n_samples = min(n_samples, self._n_wanted)
        return n_resampled(n_samples, self.source_sample_rate, self.sample_rate)

    def _excerpt(self) -> Iterator[Waveform]:
        """The blocks from the offset on, as long as the duration, at the file's sample rate."""
        skip, position = self._start - self._decoder.position, self._start
        end = math.inf if self._n_wanted is None else self._start + self._n_wanted
        for block in to_blocks(self._decoder, self.n_channels, self._demuxer.is_pcm):
            part = block[skip : skip + min(len(block), end - position)] if skip < len(block) else block[:0]
            skip = max(0, skip - len(block))
            if len(part):
                self._check_finite(part, position)
                self.source_position += len(part)
                yield part
            self._demuxer.file.check_exit()
            position += len(part)
            if position == end:
                return

    def _resampled(self) -> Generator[Waveform]:
        resampler = StreamResampler(self.source_sample_rate, self.sample_rate, self.n_channels)
        try:
            n_at_once = max(1, _MAX_RESAMPLED * self.source_sample_rate // self.sample_rate)
            for block in self._excerpt():
                for begin in range(0, len(block), n_at_once):
                    yield resampler.push(block[begin : begin + n_at_once])
            yield resampler.finish()
        finally:
            self._decoder.warn_of_damage()

    def _check_finite(self, block: Waveform, position: int) -> None:
        if not is_finite(block):
            where = (position + int(np.isfinite(block).all(axis=1).argmin())) / self.source_sample_rate
            raise self._demuxer.file.failure(f"it holds NaN or infinite samples, from {where:.3f} s on")

    def _nothing_left(self) -> DecodeError:
        seconds = self._decoder.position / self.source_sample_rate
        if self._start >= self._decoder.position:
            start = self._start / self.source_sample_rate
            return self._demuxer.file.failure(f"it is {seconds:.2f} s long, so nothing is left from {start:.2f} s on")
        return self._demuxer.file.failure(f"the excerpt is too short for one sample at {self.sample_rate} Hz")

    def blocks(self) -> Iterator[Waveform]:
        while not self._is_closed and (block := self._thread.call(self._next)) is not None:
            yield block

    def _next(self) -> Waveform | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next((block for block in self._rest if len(block)), None)

    def cancel(self) -> None:
        self._thread.cancel()

    def close(self) -> None:
        self._is_closed = True
        self._thread.close(self._release)

    def _release(self) -> None:
        self._first = None
        if rest := getattr(self, "_rest", None):
            rest.close()
        if decoder := getattr(self, "_decoder", None):
            decoder.close()
        if demuxer := getattr(self, "_demuxer", None):
            demuxer.close()


def cancel_readers() -> None:
    """Raise KeyboardInterrupt where any thread waits for a block of a file. For signal handlers; returns at once."""
    for reference in _open_readers.valuerefs():  # a list made in one step: other threads may open files meanwhile
        if (reader := reference()) is not None:
            reader.cancel()


def _open_at(source: FileSource, offset: float, stream: int | None, keep_start: bool) -> tuple[Demuxer, Decoder]:
    """Open a file at its beginning, or nearer to `offset` seconds where seeking there gives the same samples."""
    demuxer = Demuxer(source, stream)
    try:
        decoder = Decoder(demuxer, keep_start)
        is_far = offset > _SEEK_SECONDS and demuxer.can_seek(decoder.sample_rate)
        if is_far and not decoder.seek(round(offset * decoder.sample_rate)):
            demuxer.rewind()
            decoder = Decoder(demuxer, keep_start)
    except BaseException:
        demuxer.close()
        raise
    return demuxer, decoder


def _checked_excerpt(*excerpt: float | None) -> tuple[float | None, float | None, float | None]:
    """Offset, duration and sample rate as floats. Raises DecodeError for values that describe no excerpt."""
    names = ("offset", "duration", "sample rate")
    offset, duration, sample_rate = (
        None if value is None else number(value, name, error=DecodeError)
        for name, value in zip(names, excerpt, strict=True)
    )
    if offset is not None and not 0 <= offset < math.inf:
        raise DecodeError(f"offset {offset} is not a time; give seconds from 0 on")
    if duration is not None and not 0 < duration < math.inf:
        raise DecodeError(f"duration {duration} is not a length; give seconds above 0")
    if sample_rate is not None and not 1 <= sample_rate < math.inf:
        raise DecodeError(f"sample rate {sample_rate} is not one; give hertz, e.g. 44100")
    return offset, duration, sample_rate
