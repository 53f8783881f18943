"""`spleeter info`: versions, devices, processor, codecs and models, as a bug report needs them."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from typer import echo

from spleeter import __version__

if TYPE_CHECKING:
    from spleeter.audio.codec import CodecSpec

__all__ = ["DEPENDENCIES", "info"]

DEPENDENCIES = (
    "array-api-compat", "av", "filelock", "google-crc32c", "httpx2", "matplotlib", "mutagen", "numpy", "pillow",
    "platformdirs", "pydantic", "rich", "safetensors", "soundfile", "soxr", "tensorboard", "torch", "typer",
)  # fmt: skip
"""Distributions that the package or one of its extras depends on."""

_CPU_FEATURES = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512 BF16": "avx512_bf16",
    "AMX": "amx_tile",
    "AMX BF16": "amx_bf16",
}
"""Feature -> its flag in /proc/cpuinfo."""

_VARIABLES = (
    "MODEL_PATH", "GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE", "SPLEETER_AMX",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
    "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES",
)  # fmt: skip
"""Environment variables that change what the package does, or how fast."""

_Entries: TypeAlias = Iterator[tuple[str, object]]


def info() -> None:
    """Print versions, devices, codecs and models, for a bug report.

    Exit code 0, even if something is missing or broken.
    """
    sections = {
        "Installation": _installation,
        "Dependencies": _dependencies,
        "Devices": _devices,
        "Backends": _backends,
        "Processor": _processor,
        "Threads": _threads,
        "Codecs": _codecs,
        "Models": _models,
        "Environment": _environment,
    }
    for heading, section in sections.items():
        echo(heading)
        try:
            for key, value in section():
                echo(f"  {key}: {_one_line(value)}")
        except Exception as error:  # one section that is broken is part of the report
            echo(f"  error: {_error(error)}")


def _installation() -> _Entries:
    yield "spleeter", __version__
    yield "folder", Path(__file__).parents[1]
    yield "python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"
    yield "platform", platform.platform()


def _dependencies() -> _Entries:
    from importlib.metadata import PackageNotFoundError, version

    for name in DEPENDENCIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _devices() -> _Entries:
    from spleeter.backends.base import open_device
    from spleeter.errors import DeviceError

    for name in ("auto", "cpu", "cuda", "mps"):
        try:
            device = str(open_device(name))
            yield name, device if name == "auto" else "available"
        except DeviceError:
            yield name, "not available"
        except Exception as error:
            yield name, f"error: {_error(error)}"


def _backends() -> _Entries:
    from spleeter.backends.base import backends
    from spleeter.backends.native.library import native_library

    for name, reason in backends().items():
        yield name, reason or "available"
    try:
        import torch  # before the native library, which needs its OpenMP runtime
    except ModuleNotFoundError:
        pass  # reported above
    except (ImportError, OSError) as error:
        yield "import of torch", f"error: {_error(error)}"
    else:
        yield "torch for CUDA", torch.version.cuda or "no"
        for number in range(torch.cuda.device_count()):
            yield f"cuda:{number}", torch.cuda.get_device_name(number)
    handle, reason = native_library()
    yield "native library (AMX)", f"not used: {reason}" if handle is None else "used"


def _processor() -> _Entries:
    facts: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                key, colon, value = line.partition(":")
                if not colon:
                    break  # the end of the first processor
                facts[key.strip()] = value.strip()
    except OSError:
        pass  # not Linux
    yield "name", facts.get("model name") or platform.processor() or "unknown"
    yield "architecture", platform.machine()
    flags = facts["flags"].split() if "flags" in facts else None
    for feature, flag in _CPU_FEATURES.items():
        yield feature, "unknown" if flags is None else "yes" if flag in flags else "no"


def _threads() -> _Entries:
    yield "CPUs", os.cpu_count()
    if sys.platform == "linux":
        yield "CPUs of this process", len(os.sched_getaffinity(0))
    try:
        import torch
    except (ImportError, OSError):
        yield "threads of torch", "unknown"
    else:
        yield "threads of torch", torch.get_num_threads()


def _codecs() -> _Entries:
    import av
    import soundfile

    from spleeter.audio.codec import Codec

    yield "FFmpeg", av.ffmpeg_version_info
    yield "libsndfile", soundfile.__libsndfile_version__
    for codec in Codec:
        depths = ", ".join(map(str, codec.spec.bit_depths))
        yield codec.value, _why_not_encoded(codec.spec) or (f"available ({depths} bit)" if depths else "available")


def _why_not_encoded(spec: CodecSpec) -> str | None:
    """The reason why a codec cannot be written here; None if it can."""
    import av
    import soundfile

    for encoder in spec.encoders.values():
        try:
            if spec.library == "ffmpeg":
                av.Codec(encoder, "w")
            elif not soundfile.check_format(spec.container, encoder):
                return f"not available: libsndfile has no encoder {encoder}"
        except ValueError:
            return f"not available: FFmpeg has no encoder {encoder}"
    return None


def _models() -> _Entries:
    from spleeter.cli.models import known_models, model_state
    from spleeter.errors import SpleeterError
    from spleeter.model.provider.github import GithubModelProvider

    provider = GithubModelProvider.from_environ()
    home = provider.home()
    yield "folder", home if home.is_dir() else f"{home} ({'not a folder' if home.exists() else 'does not exist'})"
    yield "cache folder", provider.cache()
    for name in known_models(provider):
        try:
            state, folder = model_state(provider, name), provider.locate(name)
            yield name, f"{state} ({folder})" if folder.exists() else state
        except (OSError, SpleeterError) as error:
            yield name, f"error: {_error(error)}"


def _environment() -> _Entries:
    for name in _VARIABLES:
        if name in os.environ:
            yield name, re.sub(r"//[^/@]*@", "//***@", os.environ[name])  # no credentials of a URL


def _error(error: Exception) -> str:
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
