"""The library that the sources here are compiled into, and their structures."""

import ctypes
import os
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from zlib import crc32

_FOLDER = Path(__file__).parent
_LIBRARY = _FOLDER / "libsplit.so"
_CPU_FLAGS = {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "fma"}


@cache
def library() -> ctypes.CDLL | None:
    """The library, if it is there, this processor can run it, and it is meant to.

    torch must have been imported: its OpenMP is what it computes with.
    """
    if os.environ.get("SPLEETER_AMX") == "0" or not _has_amx():
        return None
    try:
        loaded = ctypes.CDLL(str(_LIBRARY))
        loaded.sources.restype = c_uint32
        if loaded.sources() != _checksum():
            return None  # compiled from other sources: installed before they changed
    except (OSError, AttributeError):
        return None
    loaded.convolve.argtypes = [
        POINTER(Convolution), POINTER(Input), c_int32, POINTER(Size), c_void_p, c_int32
    ]  # fmt: skip
    loaded.correlate.argtypes = [POINTER(Correlation), c_int32]
    loaded.differentiate_norm.argtypes = [POINTER(Norm), c_int32]
    loaded.pack.argtypes = [POINTER(Convolution), c_void_p, POINTER(c_int64), c_void_p, c_int32]
    loaded.pack.restype = None
    return loaded if loaded.allow() else None


def _checksum() -> int:
    """Of the sources, as hatch_build.py tells the library."""
    return crc32(b"".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.[ch]"))))


def _has_amx() -> bool:
    try:
        with Path("/proc/cpuinfo").open() as cpus:  # of which there may be hundreds: the first will do
            flags = next((line for line in cpus if line.startswith("flags")), "")
    except OSError:
        return False
    return set(flags.split()) >= _CPU_FLAGS


class Activation(Structure):
    """Of activation.h; all structures are those of the sources."""

    _fields_ = (("is_elu", c_int32), ("slope", c_float))


class Input(Structure):
    """Of convolution.c: a tensor that is convolved, and what it goes through before."""

    _fields_ = (
        ("data", c_void_p),
        ("scale", c_void_p),
        ("shift", c_void_p),
        ("n_channels", c_int32),
        ("activation", Activation),
    )


class Convolution(Structure):
    """What does not depend on the tensors that are convolved."""

    _fields_ = (
        ("n_parts", c_int32),
        ("n_inputs", c_int32),
        ("n_outputs", c_int32),
        ("stride", c_int32),
        ("padding", c_int32),
        ("reach", c_int32),
        ("factor", c_int32),
        ("turns_output", c_int32),
        ("activation", Activation),
        ("n_steps", c_void_p),
        ("steps", c_void_p),
        ("kernel", c_void_p),
        ("bias", c_void_p),
    )


class Size(Structure):
    """What does."""

    _fields_ = tuple((name, c_int32) for name in ("batch", "height", "width", "n_down", "n_across"))


class Correlation(Structure):
    """Of gradient.c."""

    _fields_ = (
        ("image", c_void_p),
        ("values", c_void_p),
        *((name, c_int32) for name in ("n_parts", "n_image", "n_values", "size", "stride", "padding")),
        *((name, c_int32) for name in ("batch", "height", "width", "n_down", "n_across")),
        ("gradient", c_void_p),
        ("strides", c_int64 * 4),
    )


class Norm(Structure):
    """Of norm.c."""

    _fields_ = (
        ("gradient", c_void_p),
        ("pitch", c_int64),
        ("x", c_void_p),
        ("scale", c_void_p),
        ("shift", c_void_p),
        ("n_pixels", c_int32),
        ("n_channels", c_int32),
        ("is_activated", c_int32),
        ("activation", Activation),
        ("of_x", c_void_p),
        ("of_scale", c_void_p),
        ("of_shift", c_void_p),
    )
