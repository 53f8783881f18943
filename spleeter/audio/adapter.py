"""The interface between audio files and the rest of the package: whole waveforms, or block by block."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import TracebackType
from typing import ClassVar, Self, TypeAlias

import numpy as np

from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import StreamResampler, is_finite, n_resampled, to_n_channels
from spleeter.errors import DecodeError, EncodeError, SpleeterError
from spleeter.types import AudioDescriptor, FileTarget, Signal, Waveform
from spleeter.utils.names import reason, short

__all__ = [
    "AudioAdapter",
    "AudioMetadata",
    "AudioReader",
    "AudioWriter",
    "Tag",
    "get_audio_adapter",
    "get_default_audio_adapter",
]

Tag: TypeAlias = str | tuple[str, ...]
"""The value of a tag, or its several values."""

_DEFAULT_ADAPTER = "spleeter.audio.pyav.PyAVAudioAdapter"


@dataclass(frozen=True)
class AudioMetadata:
    """What is passed on from an input file to its stems: tags by name, and the cover picture if it has one.

    The names are those of `spleeter.audio.metadata.TAG_NAMES`, "artist" for example, or any others.
    """

    tags: Mapping[str, Tag] = field(default_factory=dict)
    cover: bytes | None = None

    def with_stem(self, name: str) -> AudioMetadata:
        """The same, with the name of a stem added to the title."""
        title = self.tags.get("title", "")
        first = title if isinstance(title, str) else title[0]
        return replace(self, tags={**self.tags, "title": f"{first} ({name})" if first else name})


class AudioReader(ABC):
    """An opened audio file: its blocks in order, once. Use it as a context manager."""

    sample_rate: int
    """Sample rate of the blocks, in hertz."""
    n_channels: int
    """Channels of the blocks."""
    n_samples: int | None
    """Estimated samples per channel of all blocks, for progress; None if unknown."""
    source_sample_rate: int
    """Sample rate of the file itself, in hertz."""
    source_bits: int | None = None
    """Bits that a sample of the file is decoded to; None if the file is lossy, or this is unknown."""
    source_bitrate: int | None = None
    """Bit rate of the file's audio, in bits per second; None if the file is lossless, or this is unknown."""
    source_position: int = 0
    """Samples per channel of the file, at its own rate, that the blocks so far were made from."""
    metadata: AudioMetadata

    @abstractmethod
    def blocks(self) -> Iterator[Waveform]:
        """Yield float32 blocks (samples, channels) of any length above 0.

        Raises:
            DecodeError: if the file is damaged beyond use, or holds NaN or infinite samples.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file. May be called twice."""

    def cancel(self) -> None:  # noqa: B027 - a reader that never waits long has nothing to do
        """Have no more blocks read, and let go a thread that waits for one. May be called from any thread."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AudioWriter(ABC):
    """An audio file in the making: it appears only on `commit`.

    The order of calls is `write`* `close` `commit`; `abort` may come at any point before `commit`.
    """

    integer_bits: int | None = None
    """The size of the integers that the samples are rounded to; None if they are not."""

    @abstractmethod
    def write(self, block: Waveform) -> None:
        """Append a block (samples, channels), float32, full scale ±1. Raises EncodeError."""

    @abstractmethod
    def close(self) -> None:
        """Finish encoding; the complete file is still hidden. Raises EncodeError."""

    @abstractmethod
    def commit(self) -> None:
        """Move the complete file to its path, replacing what was there, atomically; or write it to the file object.

        Raises:
            EncodeError: if that fails. A path is then left as it was.
        """

    @abstractmethod
    def abort(self) -> None:
        """Discard everything. Never raises; may be called twice and after errors."""

    def write_all(self, blocks: Iterable[Waveform]) -> None:
        """Write blocks (samples, channels), close and commit; nothing is left behind on an error.

        Raises:
            EncodeError: as the other methods do.
        """
        try:
            for block in blocks:
                self.write(block)
            self.close()
            self.commit()
        except BaseException:
            self.abort()
            raise


class AudioAdapter(ABC):
    """Reads and writes audio. Subclass it with `load` and `save` to read from, or write to, other places.

    `open` and `create`, which work block by block, use `load` and `save` unless overridden: a subclass of any adapter
    that overrides `load` alone is read from through it. Both are given paths as text. Where several songs are
    separated at the same time, one adapter is used from several threads.
    """

    _DEFAULT: ClassVar[AudioAdapter | None] = None

    def __init_subclass__(cls) -> None:
        for whole, by_block in (("load", "open"), ("save", "create")):
            if whole in vars(cls) and by_block not in vars(cls):
                setattr(cls, by_block, vars(AudioAdapter)[by_block])

    @abstractmethod
    def load(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        """Load a whole waveform.

        Args:
            audio_descriptor: what to load; for file-based adapters a path, or a readable binary file object, which is
                read from where it stands and never closed.
            offset: where to start, in seconds.
            duration: how much to load at most, in seconds.
            sample_rate: resample to this rate, in hertz; None keeps the file's own.
            dtype: NumPy type of the result.

        Returns:
            The waveform (samples, channels), full scale ±1, and its sample rate in hertz.

        Raises:
            SpleeterError: if it cannot be loaded.
        """

    @abstractmethod
    def save(
        self,
        path: FileTarget,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        """Save a whole waveform.

        Args:
            path: the file to write, replaced atomically if it exists; or a writable binary file object, which is
                given the complete file and never closed.
            data: the waveform (samples, channels), float, full scale ±1.
            sample_rate: in hertz.
            codec: None takes it from the path's extension; a file object needs one.
            bitrate: for lossy codecs, e.g. "128k"; None takes the encoder's default.

        Raises:
            SpleeterError: if it cannot be saved.
        """

    def open(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        n_channels: int | None = None,
        stream: int | None = None,
        keep_start: bool = False,
    ) -> AudioReader:
        """Open an audio file to be read block by block; arguments as for `load`.

        `n_channels` asks for that many channels (mono is copied, more are mixed down or cut); None keeps the file's
        own. What `load` returns at another rate than asked for is resampled. `stream` and `keep_start` are as in
        `spleeter.pipeline.options.Input`; adapters that only have `load` refuse them.

        Raises:
            DecodeError: if it cannot be loaded, or holds NaN or infinite samples.
        """
        if stream is not None or keep_start:
            raise DecodeError(f"{type(self).__name__} has no choice of stream or start; leave them out")
        descriptor = os.fsdecode(audio_descriptor) if isinstance(audio_descriptor, os.PathLike) else audio_descriptor
        waveform, rate = self.load(descriptor, offset=offset, duration=duration, sample_rate=sample_rate)
        if not is_finite(waveform):
            raise DecodeError(f"{short(descriptor)}: it holds NaN or infinite samples")
        if n_channels is not None:
            waveform = to_n_channels(waveform, n_channels)
        return _WholeReader(waveform, round(rate), round(sample_rate or rate))

    def create(
        self,
        path: FileTarget,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None = None,
        metadata: AudioMetadata | None = None,
    ) -> AudioWriter:
        """Open an audio file to be written block by block.

        Args:
            path: a path or a writable binary file object, as for `save`.
            sample_rate: in hertz.
            n_channels: channels of every block.
            encoding: None takes the codec from the path's extension; a file object needs one.
            metadata: tags and cover; adapters that only have `save` drop them.

        Raises:
            EncodeError: if the file cannot be written so.
        """
        return _WholeWriter(self, path, sample_rate, n_channels, encoding)

    @classmethod
    def default(cls) -> AudioAdapter:
        """The adapter used where none is given, built once: FFmpeg's libraries through PyAV."""
        if AudioAdapter._DEFAULT is None:
            AudioAdapter._DEFAULT = cls.get(_DEFAULT_ADAPTER)
        return AudioAdapter._DEFAULT

    @classmethod
    def get(cls, descriptor: str) -> AudioAdapter:
        """Build the adapter class with a dotted path ("package.module.Class"); "" gives the default adapter.

        Raises:
            SpleeterError: if there is no such class, or it is not an AudioAdapter.
        """
        if not descriptor:
            return cls.default()
        module_name, _, class_name = descriptor.rpartition(".")
        try:
            adapter_class = getattr(import_module(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise SpleeterError(
                f"no audio adapter {short(descriptor)}: {reason(error)}; "
                "name its class by the full path, package.module.Class"
            ) from error
        if not (isinstance(adapter_class, type) and issubclass(adapter_class, AudioAdapter)):
            raise SpleeterError(f"{descriptor} is not a subclass of spleeter.audio.adapter.AudioAdapter")
        return adapter_class()


get_default_audio_adapter, get_audio_adapter = AudioAdapter.default, AudioAdapter.get
"""Their names in the original 1.x."""


class _WholeReader(AudioReader):
    """The reader of adapters that only have `load`: one block, the whole waveform."""

    def __init__(self, waveform: Waveform, source_sample_rate: int, sample_rate: int) -> None:
        self._waveform = waveform
        self.source_sample_rate, self.sample_rate = source_sample_rate, sample_rate
        self.n_channels = waveform.shape[1]
        self.n_samples = n_resampled(len(waveform), source_sample_rate, sample_rate)
        self.metadata = AudioMetadata()

    def blocks(self) -> Iterator[Waveform]:
        if len(self._waveform):
            self.source_position = len(self._waveform)
            resampler = StreamResampler(self.source_sample_rate, self.sample_rate, self.n_channels)
            yield np.concatenate([resampler.push(self._waveform), resampler.finish()])

    def close(self) -> None:
        pass


class _WholeWriter(AudioWriter):
    """The writer of adapters that only have `save`: collects the blocks and saves them on commit."""

    def __init__(
        self,
        adapter: AudioAdapter,
        path: FileTarget,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None,
    ) -> None:
        if encoding is not None and encoding.bit_depth is not None:
            raise EncodeError(f"{type(adapter).__name__} has no choice of bit depth; leave it out")
        self._adapter, self._sample_rate = adapter, sample_rate
        self._path = os.fsdecode(path) if isinstance(path, os.PathLike) else path  # as the original gives it
        self._codec = encoding.codec if encoding else None
        self._bitrate = None if encoding is None or encoding.bitrate is None else str(encoding.bitrate)
        self._blocks: list[Waveform] = [np.zeros((0, n_channels), np.float32)]

    def write(self, block: Waveform) -> None:
        self._blocks.append(block.copy())

    def close(self) -> None:
        pass

    def commit(self) -> None:
        data = np.concatenate(self._blocks)
        self._adapter.save(self._path, data, self._sample_rate, self._codec, self._bitrate)

    def abort(self) -> None:
        self._blocks.clear()
