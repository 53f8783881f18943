"""Cutting signals into frames, and which frames are silent: the rules of museval."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spleeter.errors import EvaluationError

Signals: TypeAlias = npt.NDArray[np.floating] | Tensor
"""Signals (stems, samples, channels) of floats."""


def as_signals(signals: Signals) -> Tensor:
    """A tensor (stems, samples, channels), float32 or float64, over the same memory where that is possible.

    Raises:
        EvaluationError: if the axes or the type are others, or nothing is in it.
    """
    array = signals if isinstance(signals, Tensor) else np.asarray(signals)
    kind = str(array.dtype).removeprefix("torch.")
    if array.ndim != 3 or kind not in ("float32", "float64") or 0 in array.shape:
        raise EvaluationError(
            "signals are float32 or float64 with the axes (stems, samples, channels), "
            f"not {kind} of shape {tuple(array.shape)}"
        )
    if isinstance(array, Tensor):
        return array.detach()
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))  # a copy only if it is neither


def in_frames(signals: Tensor, window: int, hop: int) -> Tensor:
    """A view of signals (..., samples, channels) as frames (..., frames, window, channels).

    A signal that is no longer than the window is one frame. What is left at the end of a longer one is in none.

    Raises:
        EvaluationError: if window or hop is less than one sample.
    """
    if window < 1 or hop < 1:
        raise EvaluationError(f"window and hop are samples from 1 on, not {window} and {hop}")
    return signals.unfold(-2, min(window, signals.shape[-2]), hop).transpose(-1, -2)


def silent_frames(signals: Tensor, window: int, hop: int) -> Tensor:
    """Which frames of signals (..., samples, channels) are silent: bool (..., frames).

    Silent is where the channels of every sample sum to zero. So a frame of exactly opposite channels is silent too.
    """
    silent: Tensor = in_frames(signals.sum(-1, keepdim=True) == 0, window, hop).all(-1).all(-1)
    return silent
