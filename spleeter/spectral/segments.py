"""Partition of an STFT into segments of T frames, and back."""

from torch import Tensor


def partition(spectra: Tensor, T: int) -> Tensor:
    """Cut (channels, segments * T, bins) into (segments, channels, T, bins)."""
    channels, frames, bins = spectra.shape
    return spectra.reshape(channels, frames // T, T, bins).transpose(0, 1)


def join(segments: Tensor) -> Tensor:
    """Put (..., segments, channels, T, bins) end to end: (..., channels, segments * T, bins)."""
    return segments.transpose(-4, -3).flatten(-3, -2)
