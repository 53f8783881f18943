"""An audio file read block by block: an excerpt of it, at a sample rate, with a number of channels."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import numpy as np

from spleeter.audio.adapter import AudioReader
from spleeter.audio.blocks import to_blocks
from spleeter.audio.convertor import StreamResampler, is_finite, n_resampled
from spleeter.audio.decoder import Decoder
from spleeter.audio.demuxer import Demuxer
from spleeter.errors import DecodeError
from spleeter.types import FileSource, Waveform

__all__ = ["FileReader"]

_SEEK_SECONDS = 3
"""Offsets below this are reached by decoding up to them."""


class FileReader(AudioReader):
    """Reads an audio file through FFmpeg's libraries, with memory constant in its length.

    Arguments as for `PyAVAudioAdapter.open`. The first block is decoded on construction, so that an unusable file
    fails here and not half way.

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
        _check_excerpt(offset, duration, sample_rate)
        self._demuxer, self._decoder = _open_at(source, offset or 0.0, stream)
        self.source_sample_rate = self._decoder.sample_rate
        self.sample_rate = round(sample_rate) if sample_rate else self.source_sample_rate
        self.n_channels = n_channels or self._decoder.n_channels
        self.metadata = self._demuxer.metadata
        self._start = round((offset or 0.0) * self.source_sample_rate)
        self._n_wanted = None if duration is None else round(duration * self.source_sample_rate)
        self.n_samples = self._estimated_samples()
        self._rest = self._resampled()
        try:
            self._first = next((block for block in self._rest if len(block)), None)
            if self._first is None:
                raise self._nothing_left()
        except BaseException:
            self.close()
            raise

    def _estimated_samples(self) -> int | None:
        n_samples = self._demuxer.estimated_length(self.source_sample_rate)
        if n_samples is None:
            return None
        n_samples = max(0, n_samples - self._start)
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
            position += len(part)
            if position == end:
                return

    def _resampled(self) -> Generator[Waveform]:
        resampler = StreamResampler(self.source_sample_rate, self.sample_rate, self.n_channels)
        try:
            for block in self._excerpt():
                yield resampler.push(block)
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
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from (block for block in self._rest if len(block))

    def close(self) -> None:
        self._first = None
        self._rest.close()
        self._demuxer.close()


def _open_at(source: FileSource, offset: float, stream: int | None) -> tuple[Demuxer, Decoder]:
    """Open a file at its beginning, or nearer to `offset` seconds where seeking there gives the same samples."""
    demuxer = Demuxer(source, stream)
    try:
        decoder = Decoder(demuxer)
        is_far = offset > _SEEK_SECONDS and demuxer.can_seek(decoder.sample_rate)
        if is_far and not decoder.seek(round(offset * decoder.sample_rate)):
            demuxer.rewind()
            decoder = Decoder(demuxer)
    except BaseException:
        demuxer.close()
        raise
    return demuxer, decoder


def _check_excerpt(offset: float | None, duration: float | None, sample_rate: float | None) -> None:
    """Raise DecodeError for values that describe no excerpt."""
    if offset is not None and not 0 <= offset < math.inf:
        raise DecodeError(f"offset {offset} is not a time; give seconds from 0 on")
    if duration is not None and not 0 < duration < math.inf:
        raise DecodeError(f"duration {duration} is not a length; give seconds above 0")
    if sample_rate is not None and not 1 <= sample_rate < math.inf:
        raise DecodeError(f"sample rate {sample_rate} is not one; give hertz, e.g. 44100")
