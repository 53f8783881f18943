"""The types that travel between the layers, and the order of their axes.

waveforms      (samples, channels) float32 NumPy arrays at the borders of the package, full scale is ±1;
               (channels, samples) inside the pipeline
spectra        (channels, frames, bins) complex64
magnitudes     (batch, channels, T, F) float32
stems          one more axis in front, in the order of the configuration's instrument_list
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

Array: TypeAlias = Any
"""An array by the array API standard: a NumPy array on a CPU, a torch tensor on CUDA and MPS."""

AudioDescriptor: TypeAlias = Any
"""What an audio adapter loads from: a path for file-based adapters, anything for others."""

PathLike: TypeAlias = str | Path
