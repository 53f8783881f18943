"""The shared library that the C sources here are compiled into: loading it, and the structures it takes."""

import ctypes
import os
from collections.abc import Mapping, Set
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from spleeter.utils.logging import logger

__all__ = [
    "LIBRARY",
    "REQUIRED_CPU_FLAGS",
    "SOURCES",
    "Activation",
    "ConvInput",
    "ConvParams",
    "ConvShape",
    "KernelGradient",
    "NativeLibrary",
    "NormGradient",
    "load_library",
    "native_library",
    "source_checksum",
]

SOURCES = Path(__file__).parent
"""The folder of the C sources and, once they are compiled, of the library."""

LIBRARY = "libsplit.so"
REQUIRED_CPU_FLAGS = frozenset(
    {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "fma"}
)
"""Of the instructions that hatch_build.py compiles for, as /proc/cpuinfo names them."""


class NativeLibrary(NamedTuple):
    """The loaded library or, if it cannot be used, None and the reason in one line."""

    handle: ctypes.CDLL | None
    reason: str = ""


@cache
def native_library() -> NativeLibrary:
    """The library for this process, loaded once. `SPLEETER_AMX=0` in the environment switches it off."""
    return load_library(SOURCES, _cpu_flags(), os.environ)


def load_library(folder: Path, cpu_flags: Set[str], environment: Mapping[str, str]) -> NativeLibrary:
    """Load the library of a folder and declare its functions.

    torch must be imported before: the library computes with the OpenMP runtime that torch loads.

    Args:
        folder: of the library and its sources.
        cpu_flags: of the processor, as /proc/cpuinfo names them.
        environment: of the process.
    """
    if environment.get("SPLEETER_AMX") == "0":
        return NativeLibrary(None, "switched off by SPLEETER_AMX=0 in the environment")
    missing = REQUIRED_CPU_FLAGS - cpu_flags
    if missing:
        return NativeLibrary(None, f"this processor has no {', '.join(sorted(missing))}")
    path = folder / LIBRARY
    try:
        # Before a byte of it is run: loading a file that was cut off kills the process.
        content = path.read_bytes()
        if crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
            return _unusable(f"{path} is damaged")
        handle = ctypes.CDLL(str(path))
        _declare_functions(handle)
    except FileNotFoundError:
        return NativeLibrary(None, f"{path} is not there: the package was installed without gcc")
    except (OSError, AttributeError) as error:
        return _unusable(f"{path} cannot be loaded: {error}")
    if handle.source_checksum() != source_checksum(folder):
        return _unusable(f"{path} was compiled from other sources")
    if not handle.request_amx():
        return NativeLibrary(None, "the operating system does not permit AMX")
    return NativeLibrary(handle)


def _unusable(reason: str) -> NativeLibrary:
    logger.warning("%s: install the package again; AMX is not used until then", reason)
    return NativeLibrary(None, f"{reason}: install the package again")


def source_checksum(folder: Path) -> int:
    """CRC-32 of the C sources in a folder, as hatch_build.py compiles it into the library."""
    return crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))


def _cpu_flags() -> Set[str]:
    try:
        with Path("/proc/cpuinfo").open() as lines:  # processors by the hundred may follow: the first will do
            return set(next((line for line in lines if line.startswith("flags")), "").split())
    except OSError:
        return set()


def _declare_functions(handle: ctypes.CDLL) -> None:
    """Declare argument and result types; results are int32 unless something else is said."""
    handle.source_checksum.restype = c_uint32
    handle.convolve.argtypes = [
        POINTER(ConvParams), POINTER(ConvInput), c_int32, POINTER(ConvShape), c_void_p, c_int32
    ]  # fmt: skip
    handle.pack_kernel.argtypes = [POINTER(ConvParams), c_void_p, POINTER(c_int64), c_void_p, c_int32]
    handle.pack_kernel.restype = None
    handle.kernel_gradient.argtypes = [POINTER(KernelGradient), c_int32]
    handle.norm_backward.argtypes = [POINTER(NormGradient), c_int32]


# The structures of the C sources, field by field; what the fields mean is said there.


class Activation(Structure):
    """`Activation` of activation.h."""

    _fields_ = (("is_elu", c_int32), ("slope", c_float))


class ConvInput(Structure):
    """`ConvInput` of convolution.c: a tensor to convolve and its prologue."""

    _fields_ = (
        ("data", c_void_p),
        ("scale", c_void_p),
        ("shift", c_void_p),
        ("n_channels", c_int32),
        ("activation", Activation),
    )


class ConvParams(Structure):
    """`ConvParams` of convolution.c: what does not depend on the tensors to convolve."""

    _fields_ = (
        ("n_components", c_int32),
        ("in_channels", c_int32),
        ("out_channels", c_int32),
        ("stride", c_int32),
        ("padding", c_int32),
        ("patch_size", c_int32),
        ("upsampling", c_int32),
        ("flip_output", c_int32),
        ("activation", Activation),
        ("n_k_blocks", c_void_p),
        ("k_blocks", c_void_p),
        ("packed_kernel", c_void_p),
        ("bias", c_void_p),
    )


class ConvShape(Structure):
    """`ConvShape` of convolution.c: sizes of the tensors to convolve."""

    _fields_ = tuple((name, c_int32) for name in ("batch", "height", "width", "position_rows", "position_columns"))


class KernelGradient(Structure):
    """`KernelGradient` of kernel_gradient.c."""

    _fields_ = (
        ("image", c_void_p),
        ("values", c_void_p),
        *((name, c_int32) for name in ("n_components", "image_channels", "value_channels")),
        *((name, c_int32) for name in ("kernel_size", "stride", "padding")),
        *((name, c_int32) for name in ("batch", "height", "width", "position_rows", "position_columns")),
        ("grad_kernel", c_void_p),
        ("strides", c_int64 * 4),
    )


class NormGradient(Structure):
    """`NormGradient` of norm_gradient.c."""

    _fields_ = (
        ("grad_output", c_void_p),
        ("pixel_stride", c_int64),
        ("x", c_void_p),
        ("scale", c_void_p),
        ("shift", c_void_p),
        ("n_pixels", c_int32),
        ("n_channels", c_int32),
        ("activation_first", c_int32),
        ("activation", Activation),
        ("grad_x", c_void_p),
        ("grad_scale", c_void_p),
        ("grad_shift", c_void_p),
    )
