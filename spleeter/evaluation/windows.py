"""Signals -> frames, and which of them are silent: museval's rules."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spleeter.errors import EvaluationError

__all__ = ["Signals", "as_signals", "in_frames", "silent_frames"]

Signals: TypeAlias = npt.NDArray[np.floating] | Tensor
"""Floats (stems, samples, channels)."""


def as_signals(signals: Signals) -> Tensor:
    """A tensor (stems, samples, channels), float32 or float64, that shares the memory where that is possible.

    Raises:
        EvaluationError: if the axes or the dtype are others, or the array is empty.
    """
    array = signals if isinstance(signals, Tensor) else np.asarray(signals)
    dtype = str(array.dtype).removeprefix("torch.")
    if array.ndim != 3 or dtype not in ("float32", "float64") or 0 in array.shape:
        raise EvaluationError(
            "signals are float32 or float64 with the axes (stems, samples, channels), "
            f"not {dtype} of shape {tuple(array.shape)}"
        )
    if isinstance(array, Tensor):
        return array.detach()
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))  # a copy only if it is neither


def in_frames(signals: Tensor, window: int, hop: int) -> Tensor:
    """A view of signals (..., samples, channels) as frames (..., frames, window, channels).

    A signal that is not longer than the window is one frame. The samples behind the last whole window of a longer one
    are in no frame.

    Args:
        signals: (..., samples, channels).
        window: length of a frame, in samples.
        hop: distance between the starts of frames, in samples.

    Raises:
        EvaluationError: if window or hop is less than one sample.
    """
    if window < 1 or hop < 1:
        raise EvaluationError(f"window and hop are at least 1 sample, not {window} and {hop}")
    return signals.unfold(-2, min(window, signals.shape[-2]), hop).transpose(-1, -2)


def silent_frames(signals: Tensor, window: int, hop: int) -> Tensor:
    """Which frames of signals (..., samples, channels) are silent: bool (..., frames).

    A frame is silent if the channels of every sample sum to zero, so one with exactly opposite channels is too.
    """
    silent: Tensor = in_frames(signals.sum(-1, keepdim=True) == 0, window, hop).all(-1).all(-1)
    return silent
