"""Where stems are written, and the rule that all of a song's files appear, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from math import log10
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias, get_args

import numpy as np

from spleeter.audio.adapter import AudioAdapter, AudioMetadata, AudioWriter
from spleeter.audio.codec import Codec, Encoding
from spleeter.errors import OutputError
from spleeter.types import AudioDescriptor, PathLike, Waveform
from spleeter.utils.logging import logger
from spleeter.utils.names import FILENAME_FORMAT
from spleeter.utils.spool import Spool
from spleeter.utils.whole_file import WholeFile

Clip: TypeAlias = Literal["clamp", "rescale", "none"]
"""What is done about samples beyond full scale: cut them off, turn all of the song's outputs down by one common
gain, or leave them (where the format can hold them)."""


def output_paths(
    descriptor: AudioDescriptor,
    destination: PathLike,
    names: Iterable[str],
    codec: Codec = Codec.WAV,
    filename_format: str = FILENAME_FORMAT,
) -> dict[str, Path]:
    """The path of each of a song's outputs.

    Args:
        descriptor: the song's path; {filename} is its name without extension, {foldername} its folder's.
        names: the outputs' names, each in turn the {instrument}.

    Raises:
        OutputError: if the format has other fields, or gives two outputs one path.
    """
    paths = {name: Path(destination, _filled(filename_format, descriptor, name, codec)) for name in names}
    if len(set(paths.values())) < len(paths):
        raise OutputError(
            f"filename format {filename_format!r} gives several stems one path, "
            f"{next(iter(paths.values()))}; put {{instrument}} into it"
        )
    return paths


def picture_path(descriptor: AudioDescriptor, destination: PathLike, filename_format: str = FILENAME_FORMAT) -> Path:
    """The path of the picture of a song's outputs: where one of the name "spectrograms" and the codec png would lie.

    Raises:
        OutputError: as `output_paths`.
    """
    path = Path(destination, _filled(filename_format, descriptor, "spectrograms", "png"))
    return path if path.suffix == ".png" else path.with_name(f"{path.name}.png")


def song_name(descriptor: AudioDescriptor) -> str:
    """The name of a song's file, without extension."""
    return os.path.splitext(os.path.basename(_text(descriptor)))[0]  # noqa: PTH119, PTH122 - may be a URL


def _text(descriptor: AudioDescriptor) -> str:
    return os.fsdecode(descriptor) if isinstance(descriptor, (str, bytes, os.PathLike)) else str(descriptor)


def _filled(filename_format: str, descriptor: AudioDescriptor, instrument: str, codec: str) -> str:
    fields = {
        "filename": song_name(descriptor),
        "foldername": os.path.basename(os.path.dirname(_text(descriptor))),  # noqa: PTH119, PTH120 - may be a URL
        "instrument": instrument,
        "codec": str(codec),
    }
    try:
        return filename_format.format_map(fields)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        known = ", ".join(f"{{{field}}}" for field in fields)
        raise OutputError(
            f"filename format {filename_format!r} cannot be filled in ({error}); its fields are {known}"
        ) from error


def check_clip(clip: str, encoding: Encoding) -> None:
    """Refuse an unknown `clip`, and "none" where the format cannot hold samples beyond full scale.

    Raises:
        OutputError: naming what can be chosen.
    """
    if clip not in get_args(Clip):
        raise OutputError(f"unknown clip {clip!r}: choose {', '.join(get_args(Clip))}")
    bits = encoding.integer_bits
    if clip == "none" and bits is not None:
        raise OutputError(
            f"clip 'none' needs a format that holds samples beyond full scale, and {bits}-bit "
            f"{encoding.codec} does not; choose wav with bit depth 32, or clip 'clamp' or 'rescale'"
        )


def rounded_together(outputs: Mapping[str, Waveform], bits: int) -> dict[str, Waveform]:
    """Round outputs (samples, channels) to steps of 2^(1-bits), each taking over what was lost by the one before.

    So their sum is off by no more than half a step, however many they are, and each of them by no more than one
    (and what float32 rounds).
    """
    full_scale = np.float32(2 ** (bits - 1))
    rounded, lost = {}, np.float32(0)
    for name, output in outputs.items():
        wanted = output * full_scale + lost
        steps = np.rint(wanted)
        lost = wanted - steps
        rounded[name] = steps / full_scale
    return rounded


class StemFiles:
    """A song's output files, written block by block; on a clean exit all appear, on an error none.

    Args:
        adapter: writes the files.
        paths: output name -> path; missing folders are made, and removed again if nothing comes of it.
        sample_rate: in hertz.
        n_channels: of every output.
        encoding: codec, bit rate and bit depth of every file.
        metadata: tags and cover that every file gets.
        clip: what is done about samples beyond full scale.
        round_together: round to integers so that the sum of the outputs stays what it is, to half a step.

    Raises:
        OutputError, EncodeError: on entry, `write` or exit; nothing is left behind.
    """

    def __init__(
        self,
        adapter: AudioAdapter,
        paths: Mapping[str, Path],
        sample_rate: int,
        n_channels: int,
        encoding: Encoding,
        metadata: AudioMetadata | None = None,
        clip: Clip = "clamp",
        round_together: bool = False,
    ) -> None:
        check_clip(clip, encoding)
        self._round_together = round_together and clip != "rescale"
        self._paths = paths
        self._clip = clip
        self._n_channels = n_channels
        self._adapter = adapter
        self._format = (sample_rate, n_channels, encoding, metadata)
        self._writers: dict[str, AudioWriter] = {}
        self._spools: dict[str, Spool] = {}
        self._others: list[WholeFile] = []
        self._threads = ThreadPoolExecutor(max(1, len(paths)), thread_name_prefix="spleeter-encode")
        self._made_folders: list[Path] = []
        self._n_clipped = dict.fromkeys(paths, 0)
        self._peak = 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._discard)
            for name, path in self._paths.items():
                self._make_folders(path.parent)
                if self._clip == "rescale":
                    self._spools[name] = Spool(path.parent, self._n_channels)
                self._writers[name] = self._adapter.create(path, *self._format)
            stack.pop_all()
        return self

    def write(self, outputs: Mapping[str, Waveform]) -> None:
        """Append a block (samples, channels) to every file."""
        bits = next((writer.integer_bits for writer in self._writers.values()), None)
        if self._round_together and bits is not None:
            outputs = rounded_together(outputs, bits)
        peaks = {name: max(block.max(initial=0.0), -block.min(initial=0.0)) for name, block in outputs.items()}
        self._peak = max(self._peak, *map(float, peaks.values()), 0.0)
        beyond = {name for name, peak in peaks.items() if peak > 1.0}
        for name in beyond:
            self._n_clipped[name] += int(np.count_nonzero(np.abs(outputs[name]) > 1.0))
        self._for_each(lambda name: self._write_one(name, outputs[name], name in beyond))

    def accompany(self, path: Path, make: Callable[[Path], WholeFile]) -> None:
        """Have a file of another kind appear together with these; `make` writes it into a hidden one."""
        self._make_folders(path.parent)
        self._others.append(make(path))

    def _write_one(self, name: str, block: Waveform, is_beyond: bool) -> None:
        if self._clip == "rescale":
            self._spools[name].write(block)
        else:
            self._writers[name].write(np.clip(block, -1.0, 1.0) if is_beyond and self._clip == "clamp" else block)

    def _for_each(self, act: Callable[[str], None]) -> None:
        """Do something for every output, side by side: encoders work outside of Python's lock."""
        futures = [self._threads.submit(act, name) for name in self._paths]
        wait(futures)
        for future in futures:
            future.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard()
            return
        with ExitStack() as stack:
            stack.callback(self._discard)
            self._for_each(self._finish_one)
            for file in self._others:
                file.commit()
            for writer in self._writers.values():
                writer.commit()
            stack.pop_all()
        self._threads.shutdown()
        self._report_clipping()

    def _finish_one(self, name: str) -> None:
        """Encode what is spooled, and complete the file; it does not appear yet."""
        if name in self._spools:
            gain = np.float32(1.0 / max(1.0, self._peak))
            for block in self._spools[name].blocks():
                self._writers[name].write(np.clip(block * gain, -1.0, 1.0))
            self._spools[name].close()
        self._writers[name].close()

    def _discard(self) -> None:
        self._threads.shutdown()
        for writer in self._writers.values():
            writer.abort()
        for spool in self._spools.values():
            spool.close()
        for file in self._others:
            file.discard()
        for folder in reversed(self._made_folders):
            with suppress(OSError):
                folder.rmdir()

    def _make_folders(self, folder: Path) -> None:
        try:
            missing = [parent for parent in (folder, *folder.parents) if not parent.is_dir()]
            for parent in reversed(missing):
                with suppress(FileExistsError):  # another song's worker was faster
                    parent.mkdir()
                    self._made_folders.append(parent)
            if not folder.is_dir():
                raise FileExistsError(0, "a file is in its place")
        except OSError as error:
            raise OutputError(f"cannot make the output folder {folder}: {error.strerror}") from error

    def _report_clipping(self) -> None:
        clipped = {name: count for name, count in self._n_clipped.items() if count}
        if not clipped:
            return
        done = {
            "clamp": "were cut off (clip 'rescale', or clip 'none' into wav with bit depth 32, keeps them)",
            "rescale": f"were brought below it, all outputs turned down by {20 * log10(self._peak):.1f} dB",
            "none": "were kept as they are",
        }[self._clip]
        counts = ", ".join(f"{count} in {self._paths[name]}" for name, count in clipped.items())
        logger.warning(
            "samples beyond full scale %s: %s; the peak is %+.1f dBFS", done, counts, 20 * log10(self._peak)
        )
