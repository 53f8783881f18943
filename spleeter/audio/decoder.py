"""Frames -> waveforms: one sample format, one sample rate, one number of channels, no gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import format_dtypes

from spleeter.audio.convertor import StreamResampler, is_finite, mix_channels, to_float, to_n_channels
from spleeter.audio.downmix import downmix_matrix
from spleeter.audio.frames import Frames
from spleeter.types import Waveform

_BLOCK = 1 << 16
"""Samples that frames are collected to before they go on; frames alone are small, and slow in Python."""

_MOST_PLANES = 7
"""PyAV reads beyond the end of frames that keep more channels apart: those are interleaved first."""


class _Kind(NamedTuple):
    """What a decoder may change from one frame to the next."""

    layout: str
    sample_format: str
    sample_rate: int


def waveforms(frames: Frames, n_channels: int, keep_non_finite: bool) -> Iterator[Waveform]:
    """Join frames to blocks (samples, n_channels), float32, of some 65,536 samples at the first one's rate.

    Args:
        frames: where the samples come from.
        n_channels: mono is copied; to mono or stereo more channels are mixed down, to others cut.
        keep_non_finite: if not, NaN and infinite samples, which only damage brings into compressed sound,
            become silence.
    """
    for piece in _at_one_rate(_pieces(frames, n_channels), frames.sample_rate, n_channels):
        if keep_non_finite or is_finite(piece):
            yield piece
        else:
            frames.note_damage(1)
            yield np.where(np.isfinite(piece), piece, np.float32(0))


def _pieces(frames: Frames, n_channels: int) -> Iterator[tuple[int, Waveform]]:
    """Yield (sample rate, samples), collected from frames of one kind and the silence between them."""
    batch: list[npt.NDArray[Any]] = []
    size, batch_kind = 0, None
    interleave = _Interleaver()
    for gap, frame, n_samples in frames:
        kind = _Kind(frame.layout.name, frame.format.name, frame.sample_rate)
        if batch_kind and (gap or kind != batch_kind or size >= _BLOCK):
            yield batch_kind.sample_rate, _waveform(batch, batch_kind, n_channels)
            batch, size = [], 0
        for begin in range(0, gap, _BLOCK):
            yield frames.sample_rate, np.zeros((min(_BLOCK, gap - begin), n_channels), np.float32)
        batch.append(interleave(frame, kind)[:n_samples])
        size, batch_kind = size + n_samples, kind
    if batch_kind:
        yield batch_kind.sample_rate, _waveform(batch, batch_kind, n_channels)


def _waveform(batch: list[npt.NDArray[Any]], kind: _Kind, n_channels: int) -> Waveform:
    waveform = to_float(np.concatenate(batch))
    if waveform.shape[1] > n_channels and n_channels in (1, 2):
        return mix_channels(waveform, downmix_matrix(kind.layout, n_channels))
    return to_n_channels(waveform, n_channels)


def _at_one_rate(pieces: Iterable[tuple[int, Waveform]], sample_rate: int, n_channels: int) -> Iterator[Waveform]:
    """Resample those pieces that have another rate; a new rate starts afresh."""
    resampler, current = None, None
    for rate, piece in pieces:
        if resampler is None or rate != current:
            if resampler is not None:
                yield resampler.finish()
            resampler, current = StreamResampler(rate, sample_rate, n_channels), rate
        yield resampler.push(piece)
    if resampler is not None:
        yield resampler.finish()


class _Interleaver:
    """Gives the samples of frames as arrays (samples, channels) of the decoder's own sample type."""

    def __init__(self) -> None:
        self._converters: dict[_Kind, av.AudioResampler] = {}

    def __call__(self, frame: av.AudioFrame, kind: _Kind) -> npt.NDArray[Any]:
        n_channels = frame.layout.nb_channels
        unreadable = kind.sample_format not in format_dtypes
        if unreadable or (frame.format.is_planar and n_channels > _MOST_PLANES):
            target = "dbl" if unreadable else frame.format.packed.name
            converter = self._converters.setdefault(kind, av.AudioResampler(format=target))
            (frame,) = converter.resample(frame)  # changing the format alone delays nothing
        samples = frame.to_ndarray()
        return samples.T if frame.format.is_planar else samples.reshape(-1, n_channels)
