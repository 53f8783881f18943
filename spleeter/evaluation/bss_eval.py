"""BSS Eval v4: distortion, interference and artifacts of estimates, frame by frame.

The scores equal those of `museval.metrics.bss_eval` with its defaults (filters of the whole song, images), and take a
fraction of the time: one factorisation serves all estimates, and energies are summed over spectra (Parseval), so that
projections need no inverse transform.

Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spleeter.errors import EvaluationError
from spleeter.evaluation.filters import distortion_filters
from spleeter.evaluation.windows import Signals, as_signals, in_frames, silent_frames

__all__ = ["FrameScores", "bss_eval", "fast_length"]

_BATCH_POINTS = 1 << 19
"""FFT points in a batch of frames, for each channel of each stem: about 12 s of music."""


class FrameScores(NamedTuple):
    """Ratios in decibels, each float64 (stems, frames); NaN in frames that are not scored."""

    sdr: npt.NDArray[np.float64]
    """Signal to distortion: all of the error."""
    isr: npt.NDArray[np.float64]
    """Image to spatial distortion: the error that filters of the stem's own reference explain."""
    sir: npt.NDArray[np.float64]
    """Source to interference: the error that filters of the other references explain."""
    sar: npt.NDArray[np.float64]
    """Sources to artifacts: the error that no filter of the references explains."""


def bss_eval(
    references: Signals, estimates: Signals, window: int = 44100, hop: int = 44100, filter_length: int = 512
) -> FrameScores:
    """Score estimates of all the stems of a song.

    As in museval, a frame in which any reference or any estimate is silent (see `silent_frames`) is not scored, for
    any stem, and neither are the samples behind the last whole window. A song with a stem that is silent throughout,
    which museval rejects, has no scored frames.

    Where stems have no energy above some frequency, as those decoded from lossy files to floats, the filters there
    are fitted to rounding errors. ISR, SIR and SAR then depend on these, by hundredths of a decibel or more, here as
    in museval, which differs as much from itself if one gain is applied to all signals. Stems of 16 bits do not have
    that problem.

    Args:
        references: the true stems (stems, samples, channels), float32 or float64.
        estimates: the separated stems, of the same shape, in the same order.
        window: length of a frame, in samples.
        hop: distance between the starts of frames, in samples.
        filter_length: length of the distortion filters, in samples.

    Raises:
        EvaluationError: if the arrays have another dtype, other axes or different shapes, or NaN or infinite samples.
    """
    references, estimates = as_signals(references), as_signals(estimates)
    if references.shape != estimates.shape:
        raise EvaluationError(
            f"references have shape {tuple(references.shape)}, but estimates {tuple(estimates.shape)}"
        )
    is_silent = (silent_frames(references, window, hop) | silent_frames(estimates, window, hop)).any(0)  # (frames,)
    scores = torch.full((4, len(references), len(is_silent)), torch.nan, dtype=torch.float64)
    if not is_silent.all():
        audible = torch.nonzero(~is_silent.cpu())[:, 0]
        _fill_in(scores, references, estimates, audible, (window, hop), filter_length)
    return FrameScores(*scores.numpy())


def _fill_in(
    scores: Tensor,
    references: Tensor,
    estimates: Tensor,
    audible: Tensor,
    window_and_hop: tuple[int, int],
    filter_length: int,
) -> None:
    """Fill in the scores (4, stems, frames) of the frames with the indices `audible`, batch by batch."""
    filters = torch.cat(distortion_filters(references, estimates, filter_length), -1)
    # (frames, stems, window, channels)
    framed = [in_frames(signals, *window_and_hop).transpose(0, 1) for signals in (references, estimates)]
    n_fft = fast_length(framed[0].shape[2] + filter_length - 1)  # a filtered frame does not wrap
    responses = torch.fft.rfft(filters, n_fft, dim=1).transpose(0, 1).contiguous()  # (bins, in, 2 · out)
    for batch in torch.split(audible, max(1, _BATCH_POINTS // n_fft)):
        reference, estimate = (_spectra(frames[batch], n_fft) for frames in framed)
        energies = _energies(_components(reference, estimate, responses), n_fft, len(references))
        target, error = energies[0::2], energies[1::2]  # (scores, frames, stems)
        decibels = torch.where(error == 0, torch.inf, 10 * torch.log10(target / error))
        scores[:, :, batch] = decibels.transpose(1, 2).cpu()


def _spectra(frames: Tensor, n_fft: int) -> Tensor:
    """Transforms of frames (frames, stems, window, channels): complex128 (bins, frames, stems · channels)."""
    signals = frames.to(torch.float64).transpose(2, 3).flatten(1, 2)
    spectra: Tensor = torch.fft.rfft(signals, n_fft)
    return spectra.permute(2, 0, 1).contiguous()


def _components(reference: Tensor, estimate: Tensor, responses: Tensor) -> list[Tensor]:
    """Target and error of each of the four ratios, as spectra (bins, frames, signals).

    `own` is the projection of the estimate on the delayed channels of its reference, `joint` that on the delayed
    channels of all references (Vincent et al. 2012).

    Args:
        reference: (bins, frames, signals).
        estimate: (bins, frames, signals).
        responses: of the filters (bins, signals, 2 · signals).
    """
    own, joint = (reference @ responses).chunk(2, -1)
    return [
        *(reference, estimate - reference),  # SDR
        *(reference, own - reference),  # ISR: spatial distortion
        *(own, joint - own),  # SIR: interference
        *(joint, estimate - joint),  # SAR: artifacts
    ]


def _energies(spectra: list[Tensor], n_fft: int, n_stems: int) -> Tensor:
    """Energies of spectra (bins, frames, stems · channels) by Parseval's theorem: (spectra, frames, stems)."""
    energies = []
    for spectrum in spectra:
        values = torch.view_as_real(spectrum).flatten(1)  # (bins, frames · stems · channels · 2)
        unpaired = values[[0, -1]] if n_fft % 2 == 0 else values[:1]  # bins without a negative frequency
        energy = 2 * values.square().sum(0) - unpaired.square().sum(0)
        energies.append(energy.reshape(spectrum.shape[1], n_stems, -1).sum(-1))
    return torch.stack(energies)


def fast_length(length: int) -> int:
    """The smallest FFT length from `length` on that has no prime factor above 5, like `scipy.fft.next_fast_len`."""
    odd_factors = [int(3**threes * 5**fives) for threes in range(20) for fives in range(14)]
    return min(odd << max(0, (-(-length // odd) - 1).bit_length()) for odd in odd_factors if odd < 2 * length)
