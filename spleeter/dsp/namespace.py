"""The array namespace of an array: what the functions here call `xp`."""

from __future__ import annotations

from typing import Any

import numpy as np

from spleeter.types import Array

__all__ = ["array_namespace", "frames_of"]


def array_namespace(array: Array) -> Any:
    """NumPy for its arrays, and for torch tensors the namespace that makes torch keep to the array API standard."""
    if isinstance(array, np.ndarray):
        return np  # itself; the wrapper of array_api_compat copies every transform once more
    from array_api_compat import array_namespace

    return array_namespace(array)


def frames_of(waveform: Array, frame_length: int, frame_step: int) -> Array:
    """A view of the frames that lie wholly inside a waveform (..., samples): (..., frames, frame_length).

    The standard has no views that overlap, so each kind of array has its own function.
    """
    if isinstance(waveform, np.ndarray):
        return np.lib.stride_tricks.sliding_window_view(waveform, frame_length, axis=-1)[..., ::frame_step, :]
    return waveform.unfold(-1, frame_length, frame_step)
