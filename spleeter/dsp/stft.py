"""The STFT and its inverse, on chunks: what is whole in one chunk equals what is pieced together from many.

The framing is the original's. A waveform x of S samples is looked at through p: `frame_length` zeros, x, zeros.
Frame i is p[i * frame_step : i * frame_step + frame_length] under a periodic Hann window, and there are
`n_frames(S)` of them, the last one being the last that touches a sample of x or of the zeros in front.
"""

from functools import cache

import torch
from torch import Tensor


def n_frames(n_samples: int, frame_length: int, frame_step: int) -> int:
    """Number of STFT frames of a waveform of `n_samples`, the zeros in front included."""
    return -(-(n_samples + frame_length) // frame_step)


def chunk_length(frames: int, frame_length: int, frame_step: int) -> int:
    """Number of samples that `frames` frames reach over."""
    return (frames - 1) * frame_step + frame_length


def stft(chunk: Tensor, frame_length: int, frame_step: int) -> Tensor:
    """Spectra of the frames that lie wholly inside a chunk.

    Args:
        chunk: (..., samples), float, at least `frame_length` samples.

    Returns:
        (..., frames, frame_length // 2 + 1), complex, not scaled.
    """
    frames = chunk.unfold(-1, frame_length, frame_step)
    spectra: Tensor = torch.fft.rfft(frames * _window(frame_length, chunk))
    return spectra


def magnitudes(spectra: Tensor) -> Tensor:
    """|z| of complex numbers. Without the care that `abs` takes of numbers beyond 1e19, in a third of its time."""
    return spectra.real.square().addcmul_(spectra.imag, spectra.imag).sqrt_()


def inverse_stft(spectra: Tensor, carry: Tensor, frame_step: int) -> tuple[Tensor, Tensor]:
    """Overlap-add the inverse spectra of consecutive frames onto what the frames before left over.

    Every frame is windowed once more. The squared periodic Hann windows add up to
    3 * frame_length / (8 * frame_step), which the result is divided by: 3/2 at the usual quarter step, hence the
    original's constant 2/3. Terms are added in the order of their frames, wherever the chunks are cut, so the
    sum does not depend on the cuts, to the last bit.

    Args:
        spectra: (..., frames, bins), complex.
        carry: (..., frame_length - frame_step), what an earlier call returned, or `empty_carry`.

    Returns:
        The samples that are complete, (..., frames * frame_step), and the carry for the next call.
    """
    *batch, frames, bins = spectra.shape
    frame_length = 2 * (bins - 1)
    overlap = frame_length // frame_step
    scale = 8.0 * frame_step / (3.0 * frame_length)
    window = (_window(frame_length, carry) * scale).reshape(overlap, frame_step)
    steps = torch.fft.irfft(spectra, n=frame_length).reshape(*batch, frames, overlap, frame_step)
    total = carry.new_empty((*batch, frames + overlap - 1, frame_step))
    total[..., : overlap - 1, :] = carry.reshape(*batch, overlap - 1, frame_step)
    # The last part of a frame meets the frames before it first; beyond the carry it is the first to be there.
    torch.mul(steps[..., -1, :], window[-1], out=total[..., overlap - 1 :, :])
    for part in reversed(range(overlap - 1)):
        total[..., part : part + frames, :].addcmul_(steps[..., part, :], window[part])
    samples = total.reshape(*batch, -1)
    return samples[..., : frames * frame_step], samples[..., frames * frame_step :]


def empty_carry(batch: tuple[int, ...], frame_length: int, frame_step: int, like: Tensor) -> Tensor:
    """The carry before the first frame: zeros (*batch, frame_length - frame_step) on `like`'s device."""
    return like.new_zeros((*batch, frame_length - frame_step))


def _window(frame_length: int, like: Tensor) -> Tensor:
    return _hann_window(frame_length, like.dtype, like.device)


@cache
def _hann_window(frame_length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # kept for all callers, so it must not be bound to this one's mode
        return torch.hann_window(frame_length, periodic=True, dtype=dtype, device=device)
