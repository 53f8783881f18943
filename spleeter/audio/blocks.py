"""Decoded frames -> blocks of a waveform: float32, one sample rate, one number of channels, silence in the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import format_dtypes

from spleeter.audio.convertor import StreamResampler, is_finite, mix_channels, to_float, to_n_channels
from spleeter.audio.decoder import Decoder
from spleeter.types import Waveform

__all__ = ["downmix_matrix", "to_blocks"]

_BLOCK = 1 << 16
"""Samples per block: frames are small, and handling each in Python is slow."""

_MAX_PLANES = 7
"""PyAV reads beyond the end of planar frames with more channels: those are interleaved first."""


class _FrameFormat(NamedTuple):
    """What a decoder may change from one frame to the next."""

    layout: str
    sample_format: str
    sample_rate: int


def to_blocks(decoder: Decoder, n_channels: int, keep_non_finite: bool) -> Iterator[Waveform]:
    """Join frames to blocks (samples, n_channels), float32, of about 65,536 samples at the first frame's rate.

    Args:
        decoder: where the frames come from.
        n_channels: mono is copied; to mono or stereo more channels are mixed down, to others cut.
        keep_non_finite: if not, NaN and infinite samples, which only damage brings into compressed audio, become
            silence.
    """
    for block in _at_one_rate(_joined(decoder, n_channels), decoder.sample_rate, n_channels):
        if keep_non_finite or is_finite(block):
            yield block
        else:
            decoder.note_damage(1)
            yield np.where(np.isfinite(block), block, np.float32(0))


def _joined(decoder: Decoder, n_channels: int) -> Iterator[tuple[int, Waveform]]:
    """Yield (sample rate, block), joined from frames of one format, and the silence between them."""
    batch: list[npt.NDArray[Any]] = []
    size, batch_format = 0, None
    to_array = _FrameConverter()
    for gap, frame, n_samples in decoder:
        frame_format = _FrameFormat(frame.layout.name, frame.format.name, frame.sample_rate)
        if batch_format and (gap or frame_format != batch_format or size >= _BLOCK):
            yield batch_format.sample_rate, _waveform(batch, batch_format, n_channels)
            batch, size = [], 0
        for begin in range(0, gap, _BLOCK):
            yield decoder.sample_rate, np.zeros((min(_BLOCK, gap - begin), n_channels), np.float32)
        batch.append(to_array(frame, frame_format)[:n_samples])
        size, batch_format = size + n_samples, frame_format
    if batch_format:
        yield batch_format.sample_rate, _waveform(batch, batch_format, n_channels)


def _waveform(batch: list[npt.NDArray[Any]], frame_format: _FrameFormat, n_channels: int) -> Waveform:
    waveform = to_float(np.concatenate(batch))  # (samples, inputs)
    if waveform.shape[1] > n_channels and n_channels in (1, 2):
        return mix_channels(waveform, downmix_matrix(frame_format.layout, n_channels))
    return to_n_channels(waveform, n_channels)


def _at_one_rate(blocks: Iterable[tuple[int, Waveform]], sample_rate: int, n_channels: int) -> Iterator[Waveform]:
    """Resample the blocks that have another rate; a change of rate starts a new resampler."""
    resampler, current = None, None
    for rate, block in blocks:
        if resampler is None or rate != current:
            if resampler is not None:
                yield resampler.finish()
            resampler, current = StreamResampler(rate, sample_rate, n_channels), rate
        yield resampler.push(block)
    if resampler is not None:
        yield resampler.finish()


class _FrameConverter:
    """Converts frames to arrays (samples, channels) of the decoder's own sample type."""

    def __init__(self) -> None:
        self._converters: dict[_FrameFormat, av.AudioResampler] = {}

    def __call__(self, frame: av.AudioFrame, frame_format: _FrameFormat) -> npt.NDArray[Any]:
        n_channels = frame.layout.nb_channels
        unreadable = frame_format.sample_format not in format_dtypes
        if unreadable or (frame.format.is_planar and n_channels > _MAX_PLANES):
            target = "dbl" if unreadable else frame.format.packed.name
            converter = self._converters.setdefault(frame_format, av.AudioResampler(format=target))
            (frame,) = converter.resample(frame)  # changing the format alone delays nothing
        samples = frame.to_ndarray()  # planar: (channels, samples); interleaved: (1, samples * channels)
        return samples.T if frame.format.is_planar else samples.reshape(-1, n_channels)


@lru_cache(maxsize=32)
def downmix_matrix(layout: str, n_channels: int) -> npt.NDArray[np.float32]:
    """The weights (n_channels, inputs) with which FFmpeg mixes a channel layout down to mono or stereo.

    Front channels have weight 1, centre and surround channels 1/√2, the low-frequency channel 0; each row is then
    divided so that no sum can exceed full scale: what `ffmpeg -ac 2` does for integer formats. The weights are
    measured by giving FFmpeg one unit impulse per channel. A layout of which only the number of channels is known is
    taken for FFmpeg's default with that number; if there is none, the first channels are kept.

    Args:
        layout: FFmpeg's name of the layout, e.g. "5.1(side)" or "6 channels".
        n_channels: 1 or 2, and not more than the layout has.
    """
    n_inputs = av.AudioLayout(layout).nb_channels
    impulses = np.eye(n_inputs, dtype=np.float32).reshape(1, -1)  # interleaved: sample i has its impulse in channel i
    is_named = all(channel.name not in ("NONE", "UNK", "") for channel in av.AudioLayout(layout).channels)
    try:
        source_layout = layout if is_named else f"{n_inputs}c"  # FFmpeg's default; may not exist
        frame = av.AudioFrame.from_ndarray(impulses, format="flt", layout=source_layout)
        frame.sample_rate = 48_000  # any: nothing is resampled
        mixer = av.AudioResampler(
            format="flt", layout=f"{n_channels}c", rate=48_000, options={"rematrix_maxval": "1.0"}
        )
        responses = [response.to_ndarray() for response in mixer.resample(frame) + mixer.resample(None)]
    except (av.FFmpegError, ValueError):
        return np.eye(n_channels, n_inputs, dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(responses, axis=1).reshape(n_inputs, n_channels).T)
