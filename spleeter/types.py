"""The types that travel between the layers, and the order of their axes.

waveforms      (samples, channels) float32 NumPy arrays at the borders of the package, full scale is ±1;
               (channels, samples) inside the pipeline
spectra        (channels, frames, bins) complex64
magnitudes     (batch, channels, T, F) float32
stems          one more axis in front, in the order of the configuration's instrument_list
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # importing numpy would delay the command's help
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Array",
    "AudioDescriptor",
    "FileSource",
    "FileTarget",
    "PathLike",
    "ReadableFile",
    "STFTBackend",
    "Signal",
    "Waveform",
    "WritableFile",
]

Waveform: TypeAlias = "npt.NDArray[np.float32]"
"""Samples of all channels: (samples, channels), float32, full scale ±1."""

Signal: TypeAlias = "tuple[npt.NDArray[np.float32], float]"
"""A waveform and its sample rate in hertz."""

Array: TypeAlias = Any
"""An array by the array API standard: a NumPy array on a CPU, a torch tensor on CUDA and MPS."""

AudioDescriptor: TypeAlias = Any
"""What an audio adapter loads from: a `FileSource` for file-based adapters, anything for others."""

PathLike: TypeAlias = str | Path


class ReadableFile(Protocol):
    """A binary file object to read audio from; `seek`, `tell` and `seekable` are used where it has them."""

    def read(self, size: int, /) -> bytes: ...


class WritableFile(Protocol):
    """A binary file object to write audio to; `flush` is called where it has one."""

    def write(self, data: bytes, /) -> int | None: ...


FileSource: TypeAlias = PathLike | ReadableFile
"""A file to read: a path; or a binary file object, read from where it stands and never closed."""

FileTarget: TypeAlias = PathLike | WritableFile
"""A file to write: a path; or a binary file object, written to where it stands and never closed."""


class STFTBackend(StrEnum):
    """Who computed the STFT in the original 2.0 to 2.3. Taken and ignored: there is one STFT, `spleeter.dsp.stft`."""

    AUTO = "auto"
    TENSORFLOW = "tensorflow"
    LIBROSA = "librosa"
