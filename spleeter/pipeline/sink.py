"""The sink of a separation: a song's output files, which appear together or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from math import log10
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from spleeter.audio.adapter import AudioAdapter, AudioMetadata, AudioWriter
from spleeter.audio.files import OutputFile, file_label, is_path
from spleeter.errors import OutputError
from spleeter.pipeline.options import Output
from spleeter.types import AudioDescriptor, FileTarget, PathLike, Waveform
from spleeter.utils.hidden_folder import HiddenFolder
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason
from spleeter.utils.spool import Spool
from spleeter.utils.standard_streams import reserve_standard_streams
from spleeter.utils.threads import Threads
from spleeter.utils.whole_file import commit_together

__all__ = ["StemFiles", "check_source", "round_together"]


def check_source(song: AudioDescriptor, targets: Mapping[str, FileTarget]) -> None:
    """Raise OutputError if a song's own file is among its outputs, under whatever name."""
    source = _file_number(song)
    for name, target in targets.items():
        if source is not None and _file_number(target) == source:
            raise OutputError(
                f"{file_label(target)} is the song itself, and would be replaced by its {name}: choose another "
                "output folder or filename format"
            )


def _file_number(file: object) -> tuple[int, int] | None:
    """The device of a path or file object, and its number there; None for what is no file that is there."""
    with suppress(Exception):  # objects have no descriptor in many ways
        state = os.stat(file) if is_path(file) else os.fstat(file.fileno())  # type: ignore[attr-defined]  # noqa: PTH116
        return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None
    return None


def round_together(outputs: Mapping[str, Waveform], bits: int) -> dict[str, Waveform]:
    """Round outputs (samples, channels) to steps of 2^(1-bits), and add the error of each to the next one.

    So the error of their sum is at most half a step, however many they are, and that of each at most one step
    (besides float32's own rounding).
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
        targets: output name -> path or writable file object; missing folders are made, and removed again if nothing
            comes of it.
        sample_rate: in hertz.
        n_channels: of every output.
        output: how they are encoded, and what is done about samples beyond full scale.
        metadata: tags and cover that every file gets.
        sums_to_mixture: round to integers so that the sum of the outputs stays what it is, to half a step.

    Raises:
        OutputError, EncodeError: on entry, `write` or exit; nothing is left behind.
    """

    def __init__(
        self,
        adapter: AudioAdapter,
        targets: Mapping[str, FileTarget],
        sample_rate: int,
        n_channels: int,
        output: Output,
        metadata: AudioMetadata | None = None,
        sums_to_mixture: bool = False,
    ) -> None:
        self._adapter, self._targets, self._clip = adapter, targets, output.clip
        self._n_channels = n_channels
        self._sums_to_mixture = sums_to_mixture and output.clip != "rescale"  # whose gain is only known at the end
        self._format = (sample_rate, n_channels, output.encoding)
        self._metadata = metadata or AudioMetadata()
        self._titles_stem = output.title_stem
        self._writers: dict[str, AudioWriter] = {}
        self._spools: dict[str, Spool] = {}
        self._attached: list[tuple[FileTarget, OutputFile]] = []
        self._threads = Threads(max(1, len(targets)), "spleeter-encode")
        self._folders: dict[Path, HiddenFolder] = {}  # no other song's failure removes a folder that one lies in
        self._n_clipped = dict.fromkeys(targets, 0)
        self._peak = 0.0

    def __enter__(self) -> Self:
        reserve_standard_streams()
        with ExitStack() as stack:
            stack.callback(self._discard)
            for name, target in self._targets.items():
                folder = self._hidden_folder(target)
                if self._clip == "rescale":
                    self._spools[name] = Spool(None if folder is None else folder.path, self._n_channels)
                metadata = self._metadata.with_stem(name) if self._titles_stem else self._metadata
                self._writers[name] = self._adapter.create(target, *self._format, metadata)
            stack.pop_all()
        return self

    def write(self, outputs: Mapping[str, Waveform]) -> None:
        """Append a block (samples, channels) to every file."""
        bits = next((writer.integer_bits for writer in self._writers.values()), None)
        if self._sums_to_mixture and bits is not None:
            outputs = round_together(outputs, bits)
        peaks = {name: max(block.max(initial=0.0), -block.min(initial=0.0)) for name, block in outputs.items()}
        self._peak = max(self._peak, *map(float, peaks.values()), 0.0)
        beyond = {name for name, peak in peaks.items() if peak > 1.0}
        for name in beyond:
            self._n_clipped[name] += int(np.count_nonzero(np.abs(outputs[name]) > 1.0))
        self._for_each(lambda name: self._write_one(name, outputs[name], name in beyond))

    def attach(self, target: FileTarget, content: bytes) -> None:
        """Have a file of another kind appear together with these."""
        self._hidden_folder(target)
        file = OutputFile(target)
        self._attached.append((target, file))
        file.write(content)
        file.close()

    def _write_one(self, name: str, block: Waveform, is_beyond: bool) -> None:
        if self._clip == "rescale":
            self._spools[name].write(block)
        else:
            self._writers[name].write(np.clip(block, -1.0, 1.0) if is_beyond and self._clip == "clamp" else block)

    def _for_each(self, act: Callable[[str], None]) -> None:
        """Do something for every output, side by side: encoders work outside of Python's lock."""
        self._threads.map(act, self._targets)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard()
            return
        with ExitStack() as stack:
            stack.callback(self._discard)
            self._for_each(self._finish_one)
            commits = [(self._targets[name], writer.commit) for name, writer in self._writers.items()]
            commits += [(target, file.commit) for target, file in self._attached]
            for target, commit in commits:  # objects first: what is written to them cannot be taken back
                if not is_path(target):
                    commit()
            moves = [(_path(target), commit) for target, commit in commits if is_path(target)]
            try:
                commit_together(moves, self._folders)
            except OSError as cause:
                raise OutputError(f"cannot replace the outputs that are there already: {reason(cause)}") from cause
            stack.pop_all()
        self._threads.shutdown()
        self._remove_folders()
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
        for _, file in self._attached:
            file.discard()
        self._remove_folders()

    def _remove_folders(self) -> None:
        for folder in self._folders.values():
            folder.remove()

    def _hidden_folder(self, target: FileTarget) -> HiddenFolder | None:
        """The hidden folder beside a path, and with it the folders above it; None for a file object."""
        if not is_path(target):
            return None
        parent = _path(target).parent
        if parent not in self._folders:
            try:
                self._folders[parent] = HiddenFolder(parent)
            except (OSError, ValueError) as error:  # ValueError: a null character in the path
                act = "write into" if os.path.isdir(parent) else "make"  # noqa: PTH112 - never raises
                name = display_name(parent)
                raise OutputError(f"cannot {act} the output folder {name}: {reason(error)}") from error
        return self._folders[parent]

    def _report_clipping(self) -> None:
        clipped = {name: count for name, count in self._n_clipped.items() if count}
        if not clipped:
            return
        done = {
            "clamp": "were cut off (clip 'rescale', or clip 'none' into wav with bit depth 32, keeps them)",
            "rescale": f"were brought below it, all outputs attenuated by {20 * log10(self._peak):.1f} dB",
            "none": "were kept as they are",
        }[self._clip]
        counts = ", ".join(f"{count} in {file_label(self._targets[name])}" for name, count in clipped.items())
        logger.warning(
            "samples beyond full scale %s: %s; the peak is %+.1f dBFS", done, counts, 20 * log10(self._peak)
        )


def _path(target: PathLike) -> Path:
    return Path(os.fsdecode(target))
