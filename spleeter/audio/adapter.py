"""The interface between sound files and the rest: whole waveforms, or block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import ClassVar, Self

import numpy as np

from spleeter.audio.codec import Codec, Encoding
from spleeter.errors import AudioError, SpleeterError
from spleeter.types import AudioDescriptor, PathLike, Signal, Waveform


@dataclass(frozen=True)
class AudioMetadata:
    """What travels from an input file to its stems: tags, and the cover picture if it has one."""

    tags: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None
