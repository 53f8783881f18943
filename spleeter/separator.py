"""The front door: names of models, arrays and files in, stems out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from spleeter.audio.adapter import AudioAdapter, AudioReader
from spleeter.audio.codec import Codec, Encoding, parse_codec
from spleeter.audio.convertor import StreamResampler, to_n_channels
from spleeter.backends.torch.device import select_device, select_precision
from spleeter.backends.torch.transfer import HostCopies
from spleeter.backends.torch.weights import load_network
from spleeter.configuration import Configuration
from spleeter.dsp.tiling import Tiling
from spleeter.errors import AudioError, ConfigurationError, SpleeterError
from spleeter.model.provider import ModelProvider
from spleeter.pipeline.options import DEFAULT_PRESET, Quality, configured, exactly
from spleeter.pipeline.prefetch import prefetch
from spleeter.pipeline.selection import Selection
from spleeter.pipeline.sink import Clip, StemFiles, output_paths, picture_path, song_name
from spleeter.pipeline.stream import Separation
from spleeter.plotting import SpectrogramCollector, draw_to_file, require_matplotlib
from spleeter.types import AudioDescriptor, PathLike, Waveform
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.logging import logger
from spleeter.utils.names import FILENAME_FORMAT

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the samples separated so far and how many are expected in all (None if unknown)."""

Stems: TypeAlias = dict[str, Waveform]

_OnDevice: TypeAlias = tuple[Waveform, Callable[[], npt.NDArray[np.float32]]]
"""A block of the mixture (samples, channels), and what waits for its stems (stems, samples, channels)."""

_SLICE = 1 << 18
"""Samples of a whole waveform that are handed on at once."""


class Separator:
    """Separates music into stems with one model, which is loaded at its first use and kept.

    Args:
        params_descriptor: "spleeter:NAME", a JSON file, a folder with a trained model, or a `Configuration`.
        MWF: make the stems by multichannel Wiener filtering instead of ratio masks.
        multiprocess: save files that `save_to_file` is given on worker threads.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; chosen here, once.
        precision: "float32", or "bfloat16" or "float16" to let the network compute in half of the bits: faster where
            the device has arithmetic for it, and not the same samples any more.
        quality: "fast", "balanced", "best" or a `Quality`: what is spent on the stems. None is "balanced".
        bandwidth: how high the stems reach, "11k", "16k" or "full". None is "full" for "spleeter:NAME", and what the
            configuration says for any other.
        exact: give the original's samples, its configuration as it is; without `quality`, `bandwidth` and any other
            `precision`. With the Wiener filter, the original's for songs up to 48 s: in longer ones it filters the
            whole, which this package does in blocks.

    Raises:
        ConfigurationError, DeviceError: at once; a model that cannot be had raises ModelError at its first use.
    """

    def __init__(
        self,
        params_descriptor: str | Path | Configuration,
        MWF: bool = False,
        multiprocess: bool = True,
        *,
        device: str = "auto",
        precision: str = "float32",
        quality: str | Quality | None = None,
        bandwidth: str | None = None,
        exact: bool = False,
    ) -> None:
        if exact and (quality is not None or bandwidth is not None or precision != "float32"):
            raise ConfigurationError("exact gives the original's samples: leave out quality, bandwidth and precision")
        if exact:
            self.configuration, chosen = exactly(params_descriptor, MWF), Quality()
        else:
            self.configuration = configured(params_descriptor, bandwidth)
            chosen = quality if isinstance(quality, Quality) else Quality.preset(quality or DEFAULT_PRESET)
        self.quality = chosen.with_changes(mwf=MWF or self.configuration.MWF)
        self._exact = exact
        self.device = select_device(device)
        self.precision = precision
        self._dtype = select_precision(precision, self.device)
        self._pool = ThreadPoolExecutor(thread_name_prefix="spleeter-save") if multiprocess else None
        self._tasks: list[Future[None]] = []
        self._loaded: Separation | None = None
        self._loading = Lock()

    @property
    def instruments(self) -> tuple[str, ...]:
        """The names of the stems, in order."""
        return self.configuration.instrument_list

    @property
    def sample_rate(self) -> int:
        """The sample rate of waveforms in and out, in hertz."""
        return self.configuration.sample_rate

    def load(self) -> None:
        """Load the model now (downloading it if need be) instead of at the first separation.

        Raises:
            ModelError: if it cannot be had.
        """
        with self._loading:
            if self._loaded is None:
                folder = Path(ModelProvider.default().get(self.configuration.model_dir))
                if self.device.type == "cpu":
                    keep_freed_memory()
                # In a thread that ends with it, and with it the threads that torch starts there to compute with:
                # where there are others besides those that separate, these are slower (separation.py).
                with ThreadPoolExecutor(1) as passing:
                    self._loaded = passing.submit(self._load, folder).result()
                logger.debug("model %s loaded on %s", folder, self.device)

    def _load(self, folder: Path) -> Separation:
        network, quality = load_network(folder, self.configuration), self.quality
        tiling = Tiling.of(self.configuration.T, quality.overlap, quality.shifts)
        return Separation(self.configuration, network, self.device, quality.mwf, self._dtype, tiling, self._exact)

    @property
    def _separation(self) -> Separation:
        self.load()
        assert self._loaded is not None
        return self._loaded

    def separate(
        self,
        waveform: np.ndarray,
        audio_descriptor: AudioDescriptor = "",
        *,
        progress: Progress | None = None,
    ) -> Stems:
        """Separate a waveform.

        Args:
            waveform: float (samples, channels) at this model's sample rate, full scale ±1. Mono is taken as two
                equal channels; of more than two, the first two are taken.
            audio_descriptor: not used; kept for callers of the original.
            progress: called after each block.

        Returns:
            Instrument -> float32 (samples, channels), as long as the input.

        Raises:
            AudioError: if the array is no such waveform.
            ModelError: if the model cannot be had.
        """
        checked = self._checked(waveform)
        slices = (checked[first : first + _SLICE] for first in range(0, len(checked), _SLICE))
        separated = {name: np.empty(checked.shape, np.float32) for name in self.instruments}
        done = 0
        with closing(prefetch(self._separated(slices), depth=1)) as blocks:
            for _, stems in _telling(blocks, progress, len(checked)):
                for name, stem in stems.items():
                    separated[name][done : done + len(stem)] = stem
                done += len(next(iter(stems.values())))
        return separated

    def separate_blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[tuple[Waveform, Stems]]:
        """Separate a waveform that comes block by block, in memory that does not grow with it.

        Args:
            blocks: float (samples, channels), of any lengths; each is taken as `separate` takes a waveform.

        Yields:
            Consecutive samples of the mixture, and of its stems by instrument, all (samples, channels). Put end to
            end they are, to the last bit, what `separate` gives for the blocks put end to end.

        Raises:
            AudioError, ModelError: as `separate`.
        """
        return self._separated(self._checked(block) for block in blocks)

    def _separated(self, blocks: Iterable[Waveform]) -> Iterator[tuple[Waveform, Stems]]:
        """As `separate_blocks`, for blocks that have been checked, and have the model's channels."""
        return self._on_host(self._on_device(blocks))

    def _on_device(self, blocks: Iterable[Waveform]) -> Iterator[_OnDevice]:
        """Separate blocks; their stems are still on the device, on their way back."""
        separation, copies = self._separation, HostCopies(self.device)
        for block in separation.separate_blocks(torch.from_numpy(block.T.copy()) for block in blocks):
            yield block.mixture.T.numpy(), copies.start(block.stems.transpose(-1, -2))

    def _on_host(self, blocks: Iterable[_OnDevice]) -> Iterator[tuple[Waveform, Stems]]:
        for mixture, finish in blocks:
            yield mixture, dict(zip(self.instruments, finish(), strict=True))

    def select(
        self,
        stems: Iterable[str] | None = None,
        mixes: Mapping[str, Iterable[str]] | None = None,
        residual: str | None = None,
    ) -> Selection:
        """Choose what to write for each song; see `Selection.choose`."""
        return Selection.choose(self.instruments, stems, mixes, residual)

    def separate_to_file(
        self,
        audio_descriptor: AudioDescriptor,
        destination: PathLike,
        audio_adapter: AudioAdapter | None = None,
        offset: float = 0,
        duration: float | None = None,
        codec: Codec | str = Codec.WAV,
        bitrate: str | None = "128k",
        filename_format: str = FILENAME_FORMAT,
        synchronous: bool = True,
        *,
        selection: Selection | None = None,
        bit_depth: int | None = None,
        clip: Clip = "clamp",
        keep_sample_rate: bool = False,
        plot: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Separate a file into files, decoding, computing and encoding at the same time, block by block.

        Args:
            audio_descriptor: the song's path, or whatever the adapter loads from.
            destination: the folder to write in.
            audio_adapter: reads and writes the sound; None takes the default.
            offset: where to start, in seconds.
            duration: how much to separate at most, in seconds; None takes the whole song.
            codec: format of the outputs.
            bitrate: of lossy codecs.
            filename_format: path below `destination`, from {filename}, {foldername}, {instrument} and {codec}.
            synchronous: kept for callers of the original; the files are there when this returns.
            selection: which outputs to write, from `select`; None takes every stem.
            bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac.
            clip: what to do about samples beyond full scale: "clamp", "rescale" or "none".
            keep_sample_rate: write at the song's own sample rate instead of the model's.
            plot: draw spectrograms and masks of the outputs, as "spectrograms.png" where the stems are.
            progress: called after each block.

        Returns:
            Output name -> path. All the files, the picture too, appear at the end; on any error there are none.

        Raises:
            SpleeterError: one of its kinds, whose message says what was wrong.
        """
        adapter = audio_adapter or AudioAdapter.default()
        chosen = selection or self.select()
        encoding = Encoding(parse_codec(codec), bitrate, bit_depth)
        paths = output_paths(audio_descriptor, destination, chosen.names, encoding.codec, filename_format)
        if plot:
            require_matplotlib()
        collector = SpectrogramCollector(self.sample_rate, chosen.names) if plot else None
        self.load()
        n_channels = self.configuration.n_channels
        with adapter.open(audio_descriptor, offset, duration, self.sample_rate, n_channels) as reader:
            rate = reader.source_sample_rate if keep_sample_rate else self.sample_rate
            sums_up = not self._exact and self.configuration.mask_extension == "average"
            is_sum = sums_up and chosen.shares_out(self.instruments)
            with (
                StemFiles(adapter, paths, rate, n_channels, encoding, reader.metadata, clip, is_sum) as files,
                closing(prefetch(reader.blocks())) as decoded,
                closing(prefetch(self._on_device(decoded), depth=1)) as separated,
                closing(prefetch(self._on_host(separated), depth=1)) as ready,
            ):
                outputs = _applied(chosen, _telling(ready, progress, reader.n_samples), collector)
                at_rate = outputs if rate == self.sample_rate else self._resampled(outputs, chosen.names, reader)
                for block in at_rate:
                    files.write(block)
                if collector is not None:
                    spectrograms, title = collector.finish(), song_name(audio_descriptor)
                    files.accompany(
                        picture_path(audio_descriptor, destination, filename_format),
                        lambda path: draw_to_file(spectrograms, title, path),
                    )
        return paths

    def _resampled(self, outputs: Iterator[Stems], names: Iterable[str], reader: AudioReader) -> Iterator[Stems]:
        """The outputs at the song's own sample rate, and exactly as long as the song."""
        n_channels = self.configuration.n_channels
        rates = self.sample_rate, reader.source_sample_rate
        resamplers = {name: StreamResampler(*rates, n_channels) for name in names}
        n_written = 0
        for block in outputs:
            resampled = {name: resamplers[name].push(stem) for name, stem in block.items()}
            n_written += len(next(iter(resampled.values())))
            yield resampled
        n_missing = reader.source_position - n_written  # two roundings of the length can make one sample more or less
        yield {name: _with_length(resampler.finish(), n_missing) for name, resampler in resamplers.items()}

    def save_to_file(
        self,
        sources: Mapping[str, np.ndarray],
        audio_descriptor: AudioDescriptor,
        destination: PathLike,
        filename_format: str = FILENAME_FORMAT,
        codec: Codec | str = Codec.WAV,
        audio_adapter: AudioAdapter | None = None,
        bitrate: str | None = "128k",
        synchronous: bool = True,
    ) -> None:
        """Save waveforms, as `separate` returns them, under the names that a song's outputs have.

        Args:
            sources: output name -> float (samples, channels).
            audio_descriptor: the song's path, which {filename} and {foldername} are taken from.
            synchronous: False returns at once if this separator has worker threads; `join` then waits.

        The others are as for `separate_to_file`.

        Raises:
            OutputError, EncodeError: here, or from `join`.
        """
        encoding = Encoding(parse_codec(codec), bitrate)
        paths = output_paths(audio_descriptor, destination, sources, encoding.codec, filename_format)
        adapter = audio_adapter or AudioAdapter.default()
        if self._pool is None or synchronous:
            self._save(sources, paths, adapter, encoding)
        else:
            self._tasks.append(self._pool.submit(self._save, sources, paths, adapter, encoding))

    def _save(
        self,
        sources: Mapping[str, np.ndarray],
        paths: dict[str, Path],
        adapter: AudioAdapter,
        encoding: Encoding,
    ) -> None:
        n_channels = next((source.shape[1] for source in sources.values()), self.configuration.n_channels)
        with StemFiles(adapter, paths, self.sample_rate, n_channels, encoding) as files:
            files.write({name: np.asarray(source, np.float32) for name, source in sources.items()})

    def join(self, timeout: float | None = 200) -> None:
        """Wait for the files that `save_to_file` still writes.

        Args:
            timeout: seconds to wait for each; None waits as long as it takes.

        Raises:
            SpleeterError: if one could not be written, or takes longer.
        """
        while self._tasks:
            if not wait([self._tasks[0]], timeout).done:
                raise SpleeterError(f"files are still being written after {timeout} seconds; join again")
            self._tasks.pop(0).result()

    def _checked(self, waveform: np.ndarray) -> Waveform:
        """Check an array from outside, and give it the model's channels."""
        array = np.asarray(waveform)
        if array.ndim != 2 or array.shape[1] == 0:
            raise AudioError(f"a waveform has the axes (samples, channels), but this array's shape is {array.shape}")
        if not np.issubdtype(array.dtype, np.floating):
            raise AudioError(
                f"a waveform is float with full scale ±1, but this array is {array.dtype}; scale it first"
            )
        if array.shape[1] > max(64, array.shape[0]):
            raise AudioError(f"a waveform has the axes (samples, channels); shape {array.shape} looks transposed")
        if not np.isfinite(array).all():
            raise AudioError("the waveform holds NaN or infinite samples; replace them first")
        return to_n_channels(array.astype(np.float32, copy=False), self.configuration.n_channels)


def _applied(
    selection: Selection, blocks: Iterable[tuple[Waveform, Stems]], collector: SpectrogramCollector | None
) -> Iterator[Stems]:
    """The selected outputs of each block; `collector` sees them too."""
    for mixture, stems in blocks:
        outputs = selection.apply(mixture, stems)
        if collector is not None:
            collector.add(mixture, outputs)
        yield outputs


def _telling(
    blocks: Iterable[tuple[Waveform, Stems]], progress: Progress | None, total: int | None
) -> Iterator[tuple[Waveform, Stems]]:
    """Pass blocks on, and tell `progress` after each."""
    done = 0
    for mixture, stems in blocks:
        yield mixture, stems
        done += len(mixture)
        if progress is not None:
            progress(done, total)


def _with_length(waveform: Waveform, n_samples: int) -> Waveform:
    """Cut a waveform (samples, channels), or lengthen it with zeros, to `n_samples`."""
    missing = max(0, n_samples - len(waveform))
    return np.pad(waveform[:n_samples], [(0, missing), (0, 0)])
