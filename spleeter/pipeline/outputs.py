"""Outputs of a song on their way to its files: mixed down to mono, and resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from spleeter.audio.convertor import StreamResampler, to_mono
from spleeter.types import Waveform

__all__ = ["mix_to_mono", "resample"]


def mix_to_mono(blocks: Iterable[dict[str, Waveform]]) -> Iterator[dict[str, Waveform]]:
    """The mean of the channels of each output: (samples, channels) -> (samples, 1)."""
    return ({name: to_mono(block) for name, block in outputs.items()} for outputs in blocks)


def resample(
    blocks: Iterable[dict[str, Waveform]],
    names: Iterable[str],
    rates: tuple[int, int],
    n_channels: int,
    length: Callable[[], int],
) -> Iterator[dict[str, Waveform]]:
    """The outputs at another sample rate.

    Args:
        blocks: consecutive samples of every output, by name, (samples, channels).
        names: of the outputs.
        rates: from and to, in hertz.
        n_channels: of every output.
        length: called at the end: how many samples all blocks have together. Two roundings, of the song's length and
            of the resampler's, can differ by one.
    """
    resamplers = {name: StreamResampler(*rates, n_channels) for name in names}
    n_given = 0
    for outputs in blocks:
        resampled = {name: resamplers[name].push(block) for name, block in outputs.items()}
        n_given += len(next(iter(resampled.values())))
        yield resampled
    n_missing = length() - n_given
    yield {name: _with_length(resampler.finish(), n_missing) for name, resampler in resamplers.items()}


def _with_length(waveform: Waveform, n_samples: int) -> Waveform:
    """Cut a waveform (samples, channels), or pad it with zeros, to `n_samples`."""
    missing = max(0, n_samples - len(waveform))
    return np.pad(waveform[:n_samples], [(0, missing), (0, 0)])
