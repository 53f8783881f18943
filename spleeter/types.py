"""The types that travel between the layers, and the order of their axes.

waveform    float32 numpy array (samples, channels), full scale is ±1
in torch    (channels, samples); spectra (channels, frames, bins); magnitudes (batch, channels, T, F)
stems       one more axis in front, in the order of the configuration's instrument_list
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # the command's help is to come at once, so nothing it needs imports numpy
    import numpy as np
    import numpy.typing as npt

Waveform: TypeAlias = "npt.NDArray[np.float32]"
"""Samples of all channels: (samples, channels), float32, full scale ±1."""

Signal: TypeAlias = "tuple[npt.NDArray[np.float32], float]"
"""A waveform and its sample rate in hertz."""

AudioDescriptor: TypeAlias = Any
"""What an audio adapter loads from: a path for file-based adapters, anything for others."""

PathLike: TypeAlias = str | Path
