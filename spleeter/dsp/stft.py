"""The short-time Fourier transform (STFT) and its inverse, on chunks of a waveform.

The framing is the original's. A waveform x of S samples is seen as p: `frame_length` zeros, x, zeros.
Frame i is p[i * frame_step : i * frame_step + frame_length] under a periodic Hann window, and there are
`n_frames(S)` of them, the last one being the last that touches a sample of x or of the zeros in front.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from spleeter.dsp.namespace import array_namespace
from spleeter.types import Array

__all__ = ["chunk_length", "inverse_stft", "magnitudes", "n_frames", "stft"]


def n_frames(n_samples: int, frame_length: int, frame_step: int) -> int:
    """Number of STFT frames of a waveform of `n_samples`, the zeros in front included."""
    return -(-(n_samples + frame_length) // frame_step)


def chunk_length(frames: int, frame_length: int, frame_step: int) -> int:
    """Number of samples that `frames` consecutive frames span."""
    return (frames - 1) * frame_step + frame_length


def stft(chunk: Array, frame_length: int, frame_step: int) -> Array:
    """Spectra of the frames that lie wholly inside a chunk.

    Args:
        chunk: (..., samples), float, at least `frame_length` samples.
        frame_length: samples of a frame, a multiple of `frame_step`.
        frame_step: samples from a frame to the next (the hop).

    Returns:
        (..., frames, frame_length // 2 + 1), complex, with a gain of 1: sums, not means.
    """
    xp = array_namespace(chunk)
    # A net gain of 1: the window is scaled up by N, the transform down by 1 / N. NumPy computes a transform without a
    # scale in float64, six times as slowly.
    window = _hann_window(frame_length, float(frame_length), xp, chunk.dtype, chunk.device)
    return xp.fft.rfft(_frames(chunk, frame_length, frame_step) * window, norm="forward")


def magnitudes(spectra: Array) -> Array:
    """|z| of complex values, without `abs`'s guard against overflow beyond 1e19, in a third of its time."""
    xp = array_namespace(spectra)
    real, imag = xp.real(spectra), xp.imag(spectra)
    power = real * real
    power += imag * imag
    return xp.sqrt(power)


def inverse_stft(spectra: Array, frame_length: int, frame_step: int, gain: float = 1.0) -> Array:
    """Overlap-add of the inverse spectra of consecutive frames.

    Every frame is windowed once more. The squared periodic Hann windows add up to
    3 * frame_length / (8 * frame_step), which the result is divided by: 3/2 at the usual quarter step, hence the
    original's constant 2/3.

    Args:
        spectra: (..., frames, bins), complex, of the lowest bins; those that are left out are zero.
        frame_length: samples of a frame, a multiple of `frame_step`.
        frame_step: samples from a frame to the next (the hop).
        gain: of the result; at 1 the inverse of `stft`.

    Returns:
        (..., chunk_length(frames)). The first and the last frame_length - frame_step samples are incomplete: the
        frames before and after are to be added there.
    """
    xp = array_namespace(spectra)
    *batch, frames, bins = spectra.shape
    overlap = frame_length // frame_step
    scale = gain * 8.0 * frame_step / (3.0 * frame_length)
    if bins <= frame_length // 2:  # NumPy's transform pads too, at twice the cost
        above = (*batch, frames, frame_length // 2 + 1 - bins)
        spectra = xp.concat([spectra, xp.zeros(above, dtype=spectra.dtype, device=spectra.device)], axis=-1)
    inverse = xp.fft.irfft(spectra, n=frame_length)
    window = _hann_window(frame_length, scale, xp, inverse.dtype, inverse.device)
    inverse *= window
    inverse = xp.reshape(inverse, (*batch, frames, overlap, frame_step))
    hops = xp.empty((*batch, frames + overlap - 1, frame_step), dtype=inverse.dtype, device=inverse.device)
    hops[..., : overlap - 1, :] = 0
    hops[..., overlap - 1 :, :] = inverse[..., -1, :]  # the last part of a frame is the first to be there
    for part in reversed(range(overlap - 1)):
        hops[..., part : part + frames, :] += inverse[..., part, :]
    return xp.reshape(hops, (*batch, -1))


def _frames(chunk: Array, frame_length: int, frame_step: int) -> Array:
    """A view (..., frames, frame_length) of a chunk (..., samples).

    The standard has no views that overlap, so each kind of array has its own function.
    """
    if isinstance(chunk, np.ndarray):
        return np.lib.stride_tricks.sliding_window_view(chunk, frame_length, axis=-1)[..., ::frame_step, :]
    return chunk.unfold(-1, frame_length, frame_step)


@cache
def _hann_window(frame_length: int, scale: float, xp: Any, dtype: Any, device: Any) -> Array:
    """A periodic Hann window (frame_length,), times `scale`."""
    window = scale * (0.5 - 0.5 * np.cos(2 * np.pi / frame_length * np.arange(frame_length)))
    return xp.asarray(window, dtype=dtype, device=device)
