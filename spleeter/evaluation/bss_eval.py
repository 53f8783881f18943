"""BSS Eval v4: how much of an estimate is distortion, interference and artifacts, second by second.

The numbers are those of `museval.metrics.bss_eval` as it is used by default (filters of the whole song, images), and
they come many times sooner: one factorisation serves all estimates, and energies are summed over spectra (Parseval),
so that projections need no inverse transform.

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

_POINTS_AT_ONCE = 1 << 19
"""Points of the transforms that are held at a time, about 12 s of music, for each channel of each stem."""


class FrameScores(NamedTuple):
    """Each float64 (stems, frames), in decibels; NaN in frames that are not scored."""

    sdr: npt.NDArray[np.float64]
    """Signal to distortion: to all that is not the reference."""
    isr: npt.NDArray[np.float64]
    """Image to spatial distortion: to what a filter of the reference itself explains."""
    sir: npt.NDArray[np.float64]
    """Source to interference: to what only filters of the other references explain."""
    sar: npt.NDArray[np.float64]
    """Sources to artifacts: to what no filter of the references explains."""


def bss_eval(
    references: Signals, estimates: Signals, window: int = 44100, hop: int = 44100, filter_length: int = 512
) -> FrameScores:
    """Score estimates of all the stems of a song.

    As in museval, a frame in which any reference or any estimate is silent (see `silent_frames`) is not scored, for
    any stem; and what is left behind the last whole window is not either. A song with a stem that is silent
    throughout, which museval refuses, has no scored frames.

    Stems that hold nothing above some frequency, as those decoded from lossy files to floats, leave the filters there
    to rounding. ISR, SIR and SAR then depend on it, by hundredths of a decibel or more, here as in museval, which
    differs as much from itself if all signals are turned down by one gain. Stems of 16 bits do not have that problem.

    Args:
        references: the true stems (stems, samples, channels), float32 or float64.
        estimates: those to be scored, of the same shape, in the same order.
        window: length of a frame, in samples.
        hop: from one frame to the next, in samples.
        filter_length: of the distortion filters, in samples.

    Raises:
        EvaluationError: if the arrays are not such signals.
    """
    true, given = as_signals(references), as_signals(estimates)
    if true.shape != given.shape:
        raise EvaluationError(f"references have shape {tuple(true.shape)}, but estimates {tuple(given.shape)}")
    is_silent = (silent_frames(true, window, hop) | silent_frames(given, window, hop)).any(0)  # (frames,)
    scores = torch.full((4, len(true), len(is_silent)), torch.nan, dtype=torch.float64)
    if not is_silent.all():
        _score(scores, true, given, torch.nonzero(~is_silent.cpu())[:, 0], (window, hop), filter_length)
    return FrameScores(*scores.numpy())


def _score(
    scores: Tensor, true: Tensor, given: Tensor, audible: Tensor, framing: tuple[int, int], filter_length: int
) -> None:
    """Fill in the scores (4, stems, frames) of the frames that are `audible`, some at a time."""
    filters = torch.cat(distortion_filters(true, given, filter_length), -1)
    true_frames, given_frames = (in_frames(signals, *framing).transpose(0, 1) for signals in (true, given))
    n_fft = fast_length(true_frames.shape[2] + filter_length - 1)  # a filtered frame does not wrap
    responses = torch.fft.rfft(filters, n_fft, dim=1).transpose(0, 1).contiguous()  # (bins, in, 2 · out)
    for frames in torch.split(audible, max(1, _POINTS_AT_ONCE // n_fft)):
        ratios = _ratios(_spectra(true_frames[frames], n_fft), _spectra(given_frames[frames], n_fft), responses)
        by_stem = _energies(ratios, n_fft, len(true))
        scores[:, :, frames] = _decibels(by_stem[0::2], by_stem[1::2]).transpose(1, 2).cpu()


def _spectra(frames: Tensor, n_fft: int) -> Tensor:
    """Transforms of frames (frames, stems, window, channels): complex128 (bins, frames, stems · channels)."""
    signals = frames.to(torch.float64).transpose(2, 3).flatten(1, 2)
    spectra: Tensor = torch.fft.rfft(signals, n_fft)
    return spectra.permute(2, 0, 1).contiguous()


def _ratios(true: Tensor, given: Tensor, responses: Tensor) -> list[Tensor]:
    """What is set against what in each of the four scores, as spectra (bins, frames, signals).

    The projections are P_own of the estimate on the delayed channels of its reference, P_all on those of all
    references (Vincent et al. 2012).
    """
    own, joint = (true @ responses).chunk(2, -1)
    return [
        *(true, given - true),  # SDR
        *(true, own - true),  # ISR: spatial distortion
        *(own, joint - own),  # SIR: interference
        *(joint, given - joint),  # SAR: artifacts
    ]


def _energies(spectra: list[Tensor], n_fft: int, n_stems: int) -> Tensor:
    """The energy of each stem in each frame (spectra, frames, stems), by Parseval's theorem."""
    powers = []
    for spectrum in spectra:
        parts = torch.view_as_real(spectrum).flatten(1)
        once = parts[[0, -1]] if n_fft % 2 == 0 else parts[:1]  # bins that have no mirror image
        energy = 2 * parts.square().sum(0) - once.square().sum(0)
        powers.append(energy.reshape(spectrum.shape[1], n_stems, -1).sum(-1))
    return torch.stack(powers)


def _decibels(wanted: Tensor, unwanted: Tensor) -> Tensor:
    """Ratios of energies in decibels; infinite where nothing is unwanted."""
    return torch.where(unwanted == 0, torch.inf, 10 * torch.log10(wanted / unwanted))


def fast_length(length: int) -> int:
    """The least number from `length` on that has no prime factor above 5: transforms of such lengths are fast."""
    odd_parts = [int(3**threes * 5**fives) for threes in range(20) for fives in range(14)]
    return min(odd << max(0, (-(-length // odd) - 1).bit_length()) for odd in odd_parts if odd < 2 * length)
