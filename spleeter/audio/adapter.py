"""The interface between sound files and the rest: whole waveforms, or block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import ClassVar, Self

import numpy as np

from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import StreamResampler, is_finite, n_resampled, to_n_channels
from spleeter.errors import DecodeError, EncodeError, SpleeterError
from spleeter.types import AudioDescriptor, PathLike, Signal, Waveform


@dataclass(frozen=True)
class AudioMetadata:
    """What travels from an input file to its stems: tags, and the cover picture if it has one."""

    tags: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None


class AudioReader(ABC):
    """An open sound: its blocks in order, once. Use it as a context manager."""

    sample_rate: int
    """Sample rate of the blocks, in hertz."""
    n_channels: int
    """Channels of the blocks."""
    n_samples: int | None
    """Samples that the blocks are expected to hold in all (an estimate, for progress), None if unknown."""
    source_sample_rate: int
    """Sample rate of the file itself, in hertz."""
    source_position: int = 0
    """Samples of the file, at its own rate, that the blocks so far were made from."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AudioWriter(ABC):
    """A sound file in the making: nothing is seen at its path before `commit`.

    The order of calls is `write`* `close` `commit`, with `abort` possible at any point before `commit`.
    """

    integer_bits: int | None = None
    """The size of the integers that the samples will be rounded to; None if they are not."""

    @abstractmethod
    def write(self, block: Waveform) -> None:
        """Append a block (samples, channels), float32. Raises EncodeError."""

    @abstractmethod
    def close(self) -> None:
        """Finish encoding; the complete file still waits beside its path. Raises EncodeError."""

    @abstractmethod
    def commit(self) -> None:
        """Move the finished file to its path, replacing what was there, atomically. Raises EncodeError."""

    @abstractmethod
    def abort(self) -> None:
        """Throw everything away. Never raises; may be called twice and after errors."""

    def write_all(self, blocks: Iterable[Waveform]) -> None:
        """Write blocks, complete the file and move it to its path; nothing is left behind on an error.

        Raises:
            EncodeError: as the others do.
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
    """Reads and writes sound. Subclass it with `load` and `save` to fetch sound from elsewhere.

    `open` and `create`, the block-by-block doors, work through `load` and `save` unless overridden. Where several
    songs are separated at the same time, one adapter is used from several threads.
    """

    _DEFAULT: ClassVar[AudioAdapter | None] = None

    @abstractmethod
    def load(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        """Load a whole sound.

        Args:
            audio_descriptor: what to load; a path for file-based adapters.
            offset: where to start, in seconds.
            duration: how much to load at most, in seconds.
            sample_rate: resample to this rate, in hertz; None keeps the file's own.
            dtype: numpy type of the result.

        Returns:
            The waveform (samples, channels), and its sample rate.

        Raises:
            SpleeterError: if the sound cannot be loaded.
        """

    @abstractmethod
    def save(
        self,
        path: PathLike,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        """Save a whole waveform (samples, channels) to a file.

        Args:
            path: the file to write; replaced atomically if it exists.
            data: the samples, float, full scale ±1.
            sample_rate: in hertz.
            codec: None takes it from the path's extension.
            bitrate: for lossy codecs, e.g. "128k"; None takes the encoder's default.

        Raises:
            SpleeterError: if the sound cannot be saved.
        """

    def open(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        n_channels: int | None = None,
    ) -> AudioReader:
        """Open a sound to be read block by block; arguments as for `load`.

        `n_channels` asks for that many channels (mono is copied, more are mixed down or cut);
        None keeps the file's own. What `load` gives at another rate than asked for is resampled.

        Raises:
            DecodeError: if the sound cannot be loaded, or holds NaN or infinite samples.
        """
        waveform, rate = self.load(audio_descriptor, offset=offset, duration=duration, sample_rate=sample_rate)
        if not is_finite(waveform):
            raise DecodeError(f"{audio_descriptor}: it holds samples that are no numbers (NaN or infinite)")
        if n_channels is not None:
            waveform = to_n_channels(waveform, n_channels)
        return _WholeReader(waveform, round(rate), round(sample_rate or rate))

    def create(
        self,
        path: PathLike,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None = None,
        metadata: AudioMetadata | None = None,
    ) -> AudioWriter:
        """Open a sound file to be written block by block. `encoding` None is decided by the path's extension."""
        return _WholeWriter(self, path, sample_rate, n_channels, encoding)

    @classmethod
    def default(cls) -> AudioAdapter:
        """The adapter used where none is given, built once: FFmpeg's libraries through PyAV."""
        if AudioAdapter._DEFAULT is None:
            from spleeter.audio.pyav import PyAVAudioAdapter

            AudioAdapter._DEFAULT = PyAVAudioAdapter()
        return AudioAdapter._DEFAULT

    @classmethod
    def get(cls, descriptor: str) -> AudioAdapter:
        """Build the adapter class that a dotted path ("package.module.Class") names; "" is the default.

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
                f"no audio adapter {descriptor!r}: {error}; name its class by the full path, package.module.Class"
            ) from error
        if not (isinstance(adapter_class, type) and issubclass(adapter_class, AudioAdapter)):
            raise SpleeterError(f"{descriptor} is not a subclass of spleeter.audio.adapter.AudioAdapter")
        return adapter_class()


class _WholeReader(AudioReader):
    """The reader of adapters that only know `load`: one block, the whole sound."""

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
    """The writer of adapters that only know `save`: collects the blocks and saves them on commit."""

    def __init__(
        self,
        adapter: AudioAdapter,
        path: PathLike,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None,
    ) -> None:
        if encoding is not None and encoding.bit_depth is not None:
            raise EncodeError(f"{type(adapter).__name__} has no choice of bit depth; leave it out")
        self._adapter, self._path, self._sample_rate = adapter, path, sample_rate
        self._codec = encoding.codec if encoding else None
        self._bitrate = encoding.bitrate if encoding else None
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
