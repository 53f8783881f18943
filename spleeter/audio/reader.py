"""A sound file read block by block: the asked part, at the asked rate, in the asked channels."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator

import numpy as np

from spleeter.audio.adapter import AudioReader
from spleeter.audio.convertor import StreamResampler, is_finite, n_resampled
from spleeter.audio.decoder import waveforms
from spleeter.audio.frames import Frames
from spleeter.audio.source import Source
from spleeter.errors import DecodeError
from spleeter.types import Waveform

_JUMP_SECONDS = 3
"""Offsets below this are reached by decoding up to them."""


class FileReader(AudioReader):
    """Reads a sound file through FFmpeg's libraries, in memory constant in its length.

    Arguments as for `PyAVAudioAdapter.open`. The first block is decoded at once, so that a file of no use
    fails here and not half way.

    Raises:
        DecodeError: if the file cannot be read, holds no sound, or ends before `offset`.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str],
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        n_channels: int | None = None,
        stream: int | None = None,
    ) -> None:
        _check_part(offset, duration, sample_rate)
        self._source, self._frames = _open_at(path, offset or 0.0, stream)
        self.source_sample_rate = self._frames.sample_rate
        self.sample_rate = round(sample_rate) if sample_rate else self.source_sample_rate
        self.n_channels = n_channels or self._frames.n_channels
        self.metadata = self._source.metadata
        self._start = round((offset or 0.0) * self.source_sample_rate)
        self._n_wanted = None if duration is None else round(duration * self.source_sample_rate)
        self.n_samples = self._expected()
        self._ahead: list[Waveform] = []
        self._rest = self._resampled()
        try:
            self._look_ahead()
        except BaseException:
            self.close()
            raise

    def _look_ahead(self) -> None:
        first = next((block for block in self._rest if len(block)), None)
        if first is None:
            raise self._nothing_left()
        self._ahead.append(first)

    def _expected(self) -> int | None:
        n_expected = self._source.samples_expected(self.source_sample_rate)
        if n_expected is None:
            return None
        n_part = max(0, n_expected - self._start)
        if self._n_wanted is not None:
            n_part = min(n_part, self._n_wanted)
        return n_resampled(n_part, self.source_sample_rate, self.sample_rate)

    def _part(self) -> Iterator[Waveform]:
        """The asked part, at the file's sample rate."""
        skip, position = self._start - self._frames.position, self._start
        end = math.inf if self._n_wanted is None else self._start + self._n_wanted
        for block in waveforms(self._frames, self.n_channels, self._source.is_pcm):
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
            for block in self._part():
                yield resampler.push(block)
            yield resampler.finish()
        finally:
            self._frames.warn_of_damage()

    def _check_finite(self, block: Waveform, position: int) -> None:
        if not is_finite(block):
            where = (position + int(np.isfinite(block).all(axis=1).argmin())) / self.source_sample_rate
            raise self._source.failure(
                f"it holds samples that are no numbers (NaN or infinite), from {where:.3f} s on"
            )

    def _nothing_left(self) -> DecodeError:
        seconds = self._frames.position / self.source_sample_rate
        if self._start >= self._frames.position:
            start = self._start / self.source_sample_rate
            return self._source.failure(f"it is {seconds:.2f} s long, so nothing is left from {start:.2f} s on")
        return self._source.failure(f"what was asked for is too short for one sample at {self.sample_rate} Hz")

    def blocks(self) -> Iterator[Waveform]:
        while self._ahead:
            yield self._ahead.pop()
        yield from (block for block in self._rest if len(block))

    def close(self) -> None:
        self._ahead.clear()
        self._rest.close()
        self._source.close()


def _open_at(path: str | bytes | os.PathLike[str], offset: float, stream: int | None) -> tuple[Source, Frames]:
    """Open a file at its beginning, or nearer to `offset` seconds where jumping there loses nothing."""
    source = Source(path, stream)
    try:
        frames = Frames(source)
        far = offset > _JUMP_SECONDS and source.can_jump(frames.sample_rate)
        if far and not frames.jump(round(offset * frames.sample_rate)):
            source.close()
            source = Source(path, stream)
            frames = Frames(source)
    except BaseException:
        source.close()
        raise
    return source, frames


def _check_part(offset: float | None, duration: float | None, sample_rate: float | None) -> None:
    """Raise DecodeError for numbers that mean no part of a sound."""
    if offset is not None and not 0 <= offset < math.inf:
        raise DecodeError(f"offset {offset} is not a time; give seconds from 0 on")
    if duration is not None and not 0 < duration < math.inf:
        raise DecodeError(f"duration {duration} is not a length; give seconds above 0")
    if sample_rate is not None and not 1 <= sample_rate < math.inf:
        raise DecodeError(f"sample rate {sample_rate} is not one; give hertz, e.g. 44100")
