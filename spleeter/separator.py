"""The public face of separation: the name of a model, then arrays or files in, stems out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeAlias

import numpy as np

from spleeter.audio.adapter import AudioAdapter, AudioReader
from spleeter.audio.codec import Codec
from spleeter.audio.convertor import mix_channels, n_resampled, to_n_channels
from spleeter.audio.files import is_path
from spleeter.backends.base import DeviceName, Model, Precision, check_precision, open_backend, open_device
from spleeter.compatibility import PrivateMembers, ignore_stft_backend
from spleeter.configuration import Configuration
from spleeter.dsp.tiling import Tiling
from spleeter.errors import AudioError, ConfigurationError, OutputError, SpleeterError
from spleeter.model.provider import ModelProvider
from spleeter.pipeline.options import Bandwidth, Input, Output, Quality, QualityName, configure
from spleeter.pipeline.outputs import mix_to_mono, resample
from spleeter.pipeline.paths import PLOT, output_paths, song_name
from spleeter.pipeline.prefetch import prefetch
from spleeter.pipeline.selection import Selection
from spleeter.pipeline.sink import StemFiles, check_source
from spleeter.pipeline.stream import Pipeline, StemBlock
from spleeter.plotting import SpectrogramCollector, require_matplotlib, spectrogram_png
from spleeter.types import AudioDescriptor, FileTarget, PathLike, STFTBackend, Waveform
from spleeter.utils.forks import COMPUTING, SEPARATING, PerProcess
from spleeter.utils.logging import logger
from spleeter.utils.names import FILENAME_FORMAT
from spleeter.utils.retired import retired

__all__ = ["Progress", "STFTBackend", "Separator", "Stems", "create_estimator"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the samples separated so far and how many are expected in all (None if unknown)."""

Stems: TypeAlias = dict[str, Waveform]

_SLICE = 1 << 18
"""Block size, in samples, that a whole waveform is cut into."""


class Separator(PrivateMembers):
    """Separates music into stems with one model, which is loaded at its first use and kept.

    It may be used from several threads, and in forked processes (but for one that a GPU was used in before). Pickled,
    it is what it was made of; the model is loaded anew.

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
        threads: CPU threads that compute, at most; None is one for each core that this process may use.
        trust: modules of your own whose code may build the network, dotted names or paths of Python files: a
            configuration that names any other runs nothing.

    Raises:
        ConfigurationError, DeviceError: at once; a model that cannot be had raises ModelError at its first use.
    """

    @ignore_stft_backend
    def __init__(
        self,
        params_descriptor: str | Path | Configuration,
        MWF: bool = False,
        multiprocess: bool = True,
        *,
        device: DeviceName = "auto",
        precision: Precision = "float32",
        quality: QualityName | Quality | None = None,
        bandwidth: Bandwidth | None = None,
        exact: bool = False,
        threads: int | None = None,
        trust: PathLike | Sequence[PathLike] = (),
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigurationError(f"threads {threads} is out of range: choose a whole number from 1")
        self.configuration, self.quality = configure(
            params_descriptor, quality=quality, bandwidth=bandwidth, precision=precision, mwf=MWF, exact=exact
        )
        check_precision(precision)
        self.precision, self.threads = precision, threads
        self._exact, self._multiprocess, self._trust = exact, multiprocess, trust
        self._open(device)

    def _open(self, device: str) -> None:
        self.device, self._device_name = open_device(device), device
        self._saves: PerProcess[list[Future[None]]] = PerProcess(list)
        self._loaded: Pipeline | None = None
        self._loading = PerProcess(Lock)

    def __getstate__(self) -> dict[str, Any]:
        opened = "device", "_saves", "_loaded", "_loading"
        return {name: value for name, value in vars(self).items() if name not in opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open(self._device_name)

    def __repr__(self) -> str:
        model = Path(self.configuration.model_dir).name
        stems = ", ".join(self.instruments)
        quality = "exact" if self._exact else self.quality
        return f"<Separator {model!r} ({stems}) on {self.device}, {quality}>"

    @property
    def instruments(self) -> tuple[str, ...]:
        """The names of the stems, in order."""
        return self.configuration.instrument_list

    @property
    def sample_rate(self) -> int:
        """The sample rate of waveforms in and out, in hertz."""
        return self.configuration.sample_rate

    @property
    def exact(self) -> bool:
        """Whether the stems are the original's samples."""
        return self._exact

    def load(self) -> None:
        """Load the model now (downloading it if need be) instead of at the first separation.

        Raises:
            ModelError: if it cannot be had.
        """
        self._pipeline()

    def _pipeline(self) -> Pipeline:
        with self._loading.get():
            if self._loaded is None:
                folder = Path(ModelProvider.default().get(self._params["model_dir"]))
                with COMPUTING:
                    model = Model(folder, self.configuration, self._trust)
                    backend = open_backend(model, self.device, self.precision)
                keys, quality = self.configuration, self.quality
                tiling = Tiling.of(keys.T, quality.overlap, quality.shifts, keys.size_multiple)
                self._loaded = Pipeline(
                    self.configuration, backend, self.quality.mwf, tiling, self._exact, self.threads
                )
                logger.debug("model %s loaded on %s", folder, self.device)
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
                equal channels; of more than two, the first two are taken; for a model of one, two are averaged.
            audio_descriptor: not used; kept for callers of the original.
            progress: called after each block, of at most a second; an exception that it raises ends the separation.

        Returns:
            Instrument -> float32 (samples, channels), as long as the input.

        Raises:
            AudioError: if the array is no such waveform, or so far beyond full scale that the arithmetic overflows.
            ModelError: if the model cannot be had.
        """
        checked = self._checked(waveform)
        slices = (checked[first : first + _SLICE] for first in range(0, len(checked), _SLICE))
        stems = {name: np.empty(checked.shape, np.float32) for name in self.instruments}
        done = 0
        with SEPARATING, closing(prefetch(self._pipeline().separate(slices), depth=1)) as blocks:
            for block in blocks:
                span = slice(done, done + len(block.mixture))
                for name, samples in self._named(block).items():
                    stems[name][span] = samples
                done = span.stop
                if progress is not None:
                    progress(done, len(checked))
        return stems

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
        copies = (self._checked(block).copy() for block in blocks)  # callers may fill their buffers again
        for block in self._pipeline().separate(copies):
            yield block.mixture, self._named(block)

    def _named(self, block: StemBlock) -> Stems:
        return dict(zip(self.instruments, block.fetch(), strict=True))

    def separate_to_file(
        self,
        audio_descriptor: AudioDescriptor,
        destination: PathLike | Mapping[str, FileTarget],
        audio_adapter: AudioAdapter | None = None,
        offset: float = 0,
        duration: float | None = None,
        codec: Codec | str = Codec.WAV,
        bitrate: str | int | None = "128k",
        filename_format: str = FILENAME_FORMAT,
        synchronous: bool = True,
        *,
        output: Output | None = None,
        source: Input | None = None,
        progress: Progress | None = None,
    ) -> dict[str, FileTarget]:
        """Separate a file into files, decoding, computing and encoding at the same time, block by block.

        Args:
            audio_descriptor: the song's path, or a readable binary file object, or whatever the adapter loads from.
            destination: the folder to write in; or for each output, by name, a path or a writable binary file object.
            audio_adapter: reads and writes the audio; None takes the default.
            offset: where to start, in seconds.
            duration: how much to separate at most, in seconds; None takes the whole song.
            codec, bitrate, filename_format: as in `Output`; they go without `output`. As in the original, wav gives
                way to another codec that the extension of `filename_format` names.
            synchronous: kept for callers of the original; the files are there when this returns.
            output: what is written, and how; None writes every stem.
            source: which of the song's audio streams is read, and whether from the container's time zero.
            progress: as for `separate`.

        Returns:
            Output name -> path or file object. All the files, the plot too, appear at the end; on any error there are
            none.

        Raises:
            SpleeterError: one of its kinds, whose message says what was wrong.
        """
        output = _one_output(output, codec, bitrate, filename_format)
        adapter = audio_adapter or AudioAdapter.default()
        if output.plot:
            require_matplotlib()
        if isinstance(destination, Mapping):
            output = output.at(destination.values())
        targets = self._targets(audio_descriptor, destination, output)
        check_source(audio_descriptor, targets)
        self._pipeline()
        # The original takes the first two of more channels. Readers mix down to one or two, and cut to three.
        n_read = max(3, self.configuration.n_channels) if self._exact else self.configuration.n_channels
        choice: dict[str, Any] = asdict(source) if source and source != Input() else {}  # older adapters know of none
        with (
            SEPARATING,
            adapter.open(audio_descriptor, offset, duration, self.sample_rate, n_read, **choice) as reader,
        ):
            self._write(reader, adapter, targets, output, song_name(audio_descriptor), progress)
        return targets

    def _write(
        self,
        reader: AudioReader,
        adapter: AudioAdapter,
        targets: Mapping[str, FileTarget],
        output: Output,
        title: str,
        progress: Progress | None,
    ) -> None:
        """Separate what a reader reads into files; `title` is the plot's."""
        selection = output.select(self.instruments)
        collector = SpectrogramCollector(self.sample_rate, selection.names) if PLOT in targets else None
        n_channels = self.configuration.n_channels
        n_written = 1 if output.mono else n_channels
        rate = output.rate(self.sample_rate, reader.source_sample_rate)
        stems_sum = not self._exact and self.configuration.mask_extension == "average"
        with (
            StemFiles(
                adapter,
                {name: targets[name] for name in selection.names},
                rate,
                n_written,
                output.following(reader, rate, n_written),
                reader.metadata,
                sums_to_mixture=stems_sum and selection.sums_to_mixture(self.instruments),
            ) as files,
            closing(prefetch((block[:, :n_channels] for block in reader.blocks()), cancel=reader.cancel)) as decoded,
            closing(prefetch(self._pipeline().separate(decoded), depth=1, cancel=reader.cancel)) as separated,
        ):
            outputs = self._outputs(separated, selection, collector, progress, reader.n_samples)
            if output.mono:
                outputs = mix_to_mono(outputs)
            if rate != self.sample_rate:
                outputs = resample(
                    outputs,
                    selection.names,
                    (self.sample_rate, rate),
                    n_written,
                    lambda: n_resampled(reader.source_position, reader.source_sample_rate, rate),
                )
            for block in outputs:
                files.write(block)
            if collector is not None:
                files.attach(targets[PLOT], spectrogram_png(collector.finish(), title))

    def _targets(
        self, song: AudioDescriptor, destination: PathLike | Mapping[str, FileTarget], output: Output
    ) -> dict[str, FileTarget]:
        """Where each output goes, the plot too if there is to be one."""
        if not isinstance(destination, Mapping):
            return {**output.paths(song, destination, self.instruments)}
        wanted = [*output.select(self.instruments).names, *([PLOT] if output.plot else [])]
        if set(wanted) != set(destination):
            raise OutputError(
                f"the destination has files for {', '.join(map(str, destination)) or 'nothing'}, but the outputs are "
                f"{', '.join(wanted)}"
            )
        paths = [Path(os.fsdecode(target)) if is_path(target) else id(target) for target in destination.values()]
        if len(set(paths)) < len(paths):
            raise OutputError("the destination has one file for several outputs; give each its own")
        return dict(destination)

    def _outputs(
        self,
        blocks: Iterable[StemBlock],
        selection: Selection,
        collector: SpectrogramCollector | None,
        progress: Progress | None,
        n_samples: int | None,
    ) -> Iterator[Stems]:
        """The selected outputs of each block; `collector` gathers their spectrograms, then `progress` is called."""
        done = 0
        for block in blocks:
            outputs = selection.apply(block.mixture, self._named(block))
            if collector is not None:
                collector.add(block.mixture, outputs)
            yield outputs
            done += len(block.mixture)
            if progress is not None:
                progress(done, n_samples)

    def save_to_file(
        self,
        sources: Mapping[str, np.ndarray],
        audio_descriptor: AudioDescriptor,
        destination: PathLike,
        filename_format: str = FILENAME_FORMAT,
        codec: Codec | str = Codec.WAV,
        audio_adapter: AudioAdapter | None = None,
        bitrate: str | int | None = "128k",
        synchronous: bool = True,
    ) -> None:
        """Save waveforms, as `separate` returns them, under the names that a song's outputs have.

        Args:
            sources: output name -> float (samples, channels).
            audio_descriptor: the song's path, which {filename} and {foldername} are taken from.
            synchronous: False returns at once if this separator has worker threads; `join` then waits. Without `join`
                too, the program ends only when the files are there; an error is logged.

        The others are as for `separate_to_file`.

        Raises:
            OutputError, EncodeError: here, or from `join`.
        """
        output = _original_output(codec, bitrate, filename_format)
        paths = output_paths(audio_descriptor, destination, sources, output.encoding.codec, filename_format)
        check_source(audio_descriptor, paths)
        adapter = audio_adapter or AudioAdapter.default()
        if not self._multiprocess or synchronous:
            self._save(sources, paths, adapter, output)
            return
        saved: Future[None] = Future()
        self._saves.get().append(saved)

        def save() -> None:
            try:
                self._save(sources, paths, adapter, output)
                saved.set_result(None)
            except BaseException as error:  # whatever it is, `join` is to raise it
                logger.error("%s", error)
                saved.set_exception(error)

        Thread(target=save, name="spleeter-save").start()  # no daemon: the program ends when it has

    def _save(
        self, sources: Mapping[str, np.ndarray], paths: dict[str, Path], adapter: AudioAdapter, output: Output
    ) -> None:
        n_channels = next((source.shape[1] for source in sources.values()), self.configuration.n_channels)
        with SEPARATING, StemFiles(adapter, paths, self.sample_rate, n_channels, output) as files:
            files.write({name: np.asarray(source, np.float32) for name, source in sources.items()})

    def join(self, timeout: float | None = 200) -> None:
        """Wait for the files that `save_to_file` still writes.

        Args:
            timeout: seconds to wait for each; None waits as long as it takes.

        Raises:
            SpleeterError: if one could not be written, or takes longer.
        """
        saves = self._saves.get()
        while saves:
            if not wait([saves[0]], timeout).done:
                raise SpleeterError(f"files are still being written after {timeout} seconds; join again")
            saves.pop(0).result()

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
        waveform, n_channels = array.astype(np.float32, copy=False), self.configuration.n_channels
        if n_channels == 1 and waveform.shape[1] == 2 and not self._exact:
            return mix_channels(waveform, np.full((1, 2), 0.5, np.float32))  # as a file is
        return to_n_channels(waveform, n_channels)


def _one_output(output: Output | None, codec: Codec | str, bitrate: str | int | None, filename_format: str) -> Output:
    """The `output`, or one of the original's arguments; both are refused."""
    if output is None:
        return _original_output(codec, bitrate, filename_format)
    if (codec, bitrate, filename_format) != (Codec.WAV, "128k", FILENAME_FORMAT):
        raise OutputError("codec, bitrate and filename_format are part of `output`: name them there")
    return output


def _original_output(codec: Codec | str, bitrate: str | int | None, filename_format: str) -> Output:
    """What the original's arguments ask for: there wav, its default, leaves the choice to the file's extension."""
    named = None if codec in (None, Codec.WAV) else codec
    return Output(codec=named, bitrate=bitrate, filename_format=filename_format)


(create_estimator,) = retired(__name__, "create_estimator", instead="use Separator")
