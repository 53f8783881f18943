"""Reader of TensorFlow V2 checkpoints, without TensorFlow: an index file, and the tensors' bytes in data files.

    checkpoint                     the state file: the prefix of the newest checkpoint in the folder
    PREFIX.index                   a sorted table: "" -> header, variable name -> dtype, shape, offset and checksum
    PREFIX.data-00000-of-00001     the values, one tensor after the other, little-endian

The messages are those of TensorFlow's tensor_bundle.proto, tensor_shape.proto and types.proto. Only the index is read
as a whole; a tensor is read, and its checksum verified, on demand.
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from spleeter.errors import CheckpointError
from spleeter.model.tensorflow.table import masked_crc, read_table
from spleeter.model.tensorflow.wire import WireError, read_fields
from spleeter.utils.names import display_name, reason, short
from spleeter.utils.plain_file import open_plain, read_plain

__all__ = ["TensorFlowBundle", "find_bundle"]

_STATE_FILE = "checkpoint"
_USUAL_PREFIX = "model"
_STATED_PREFIX = re.compile(r'^model_checkpoint_path: "(.+)"\s*$', re.MULTILINE)

_DTYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
"""The dtypes in training checkpoints, by their number in types.proto."""

_MAX_AXES = 32
_MAX_STATE = 2**20  # bytes of the state file; TensorFlow writes a hundred for each checkpoint that it kept
_MAX_VARIABLE = 2**30  # bytes; the largest of the released models has 13 million


@dataclass(frozen=True)
class _Entry:
    """A variable's entry in the index (BundleEntryProto)."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int  # bytes
    size: int  # bytes
    crc: int
    is_sliced: bool


class TensorFlowBundle:
    """A checkpoint's variables, by name.

    Args:
        prefix: the common beginning of the paths of its files, such as `folder/model`.

    Raises:
        CheckpointError: if the index is missing, damaged or of an unsupported kind.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        index = _with_suffix(prefix, ".index")
        table = read_table(index)
        try:
            self._n_shards = _n_shards(table.pop(b"", None))
            self._entries = {key.decode(): _entry(value) for key, value in table.items()}
        except (WireError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{display_name(index)} is not the index of a TensorFlow checkpoint: {error}"
            ) from error

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all variables, sorted by their bytes."""
        return tuple(self._entries)

    @property
    def files(self) -> list[Path]:
        """The index, and the data files that there is a variable in."""
        shards = {entry.shard for entry in self._entries.values()}
        return [_with_suffix(self.prefix, ".index"), *map(self._shard_path, sorted(shards))]

    def outline(self, name: str) -> np.ndarray:
        """An array of a variable's shape and dtype, whose elements are all one and the same in memory.

        Raises:
            KeyError: if there is no variable of this name.
            CheckpointError: if it is of an unsupported kind.
        """
        entry = self._entries[name]
        dtype = self._checked_dtype(name, entry)
        try:
            return np.broadcast_to(np.zeros((), dtype), entry.shape)
        except ValueError as error:
            raise CheckpointError(f"{self._place(name)} has the impossible shape {entry.shape}") from error

    def read(self, name: str) -> np.ndarray:
        """Read a variable: a read-only array of the stored shape and dtype.

        Raises:
            KeyError: if there is no variable of this name.
            CheckpointError: if its data are missing, damaged or of an unsupported kind.
        """
        outline = self.outline(name)
        return np.ndarray(outline.shape, outline.dtype, self._checked_bytes(name, self._entries[name]))

    def missing_data(self) -> str | None:
        """The first data file that is missing or too short, as the end of a message; None if all are complete."""
        for shard in range(self._n_shards):
            path = self._shard_path(shard)
            end = max(
                (entry.offset + entry.size for entry in self._entries.values() if entry.shard == shard), default=0
            )
            if not path.is_file():
                return f"{display_name(path.name)} is {'no plain file' if path.exists() else 'missing'}"
            if path.stat().st_size < end:
                return f"{display_name(path.name)} has {path.stat().st_size} of {end} bytes"
        return None

    def _shard_path(self, shard: int) -> Path:
        return _with_suffix(self.prefix, f".data-{shard:05}-of-{self._n_shards:05}")

    def _place(self, name: str) -> str:
        return f"variable {short(name)} of the checkpoint {display_name(self.prefix)}"

    def _checked_dtype(self, name: str, entry: _Entry) -> np.dtype[np.generic]:
        if entry.dtype not in _DTYPES:
            raise CheckpointError(
                f"{self._place(name)} is of TensorFlow's type {entry.dtype}: save it as 32-bit float"
            )
        if entry.is_sliced:
            raise CheckpointError(f"{self._place(name)} is stored in slices: save it as a whole")
        if len(entry.shape) > _MAX_AXES:
            raise CheckpointError(f"{self._place(name)} has the impossible shape of {len(entry.shape)} axes")
        dtype = np.dtype(_DTYPES[entry.dtype]).newbyteorder("<")
        if entry.size != dtype.itemsize * prod(entry.shape):
            raise CheckpointError(f"{self._place(name)} has {entry.size} bytes, which contradicts its shape")
        return dtype

    def _checked_bytes(self, name: str, entry: _Entry) -> bytes:
        shard = self._shard_path(entry.shard)
        try:
            with open_plain(shard) as file:
                if file.seek(0, 2) < entry.offset + entry.size:
                    raise CheckpointError(
                        f"{self._place(name)} is cut off in {display_name(shard.name)}: get the model again"
                    )
                if entry.size > _MAX_VARIABLE:
                    raise CheckpointError(
                        f"{self._place(name)} has {entry.size} bytes, and at most {_MAX_VARIABLE} are read"
                    )
                file.seek(entry.offset)
                data = file.read(entry.size)
        except OSError as error:
            raise CheckpointError(
                f"cannot read the checkpoint data {display_name(shard)}: {reason(error)}"
            ) from error
        if masked_crc(data) != entry.crc:
            raise CheckpointError(
                f"{self._place(name)} is damaged in {display_name(shard.name)}, its checksum is wrong: "
                "get the model again"
            )
        return data


def find_bundle(folder: Path) -> Path | None:
    """Find the newest checkpoint in a folder: the one that the state file names, else `model`, else by its time.

    A state file's absolute path is looked up by its last part, so that a folder may be moved.

    Returns:
        Its prefix, or None if the folder holds no checkpoint.

    Raises:
        CheckpointError: if the state file cannot be read, or the checkpoint that it names is not there.
    """
    state = folder / _STATE_FILE
    try:
        if state.exists():
            return _stated_prefix(state)
        usual = folder / _USUAL_PREFIX
        if _with_suffix(usual, ".index").is_file():
            return usual
        indices = [path for path in folder.glob("*.index") if not path.name.startswith(".") and path.is_file()]
        newest = max(indices, key=lambda path: path.stat().st_mtime, default=None)
    except OSError as error:
        place = display_name(error.filename or folder)
        raise CheckpointError(f"cannot read the model folder, {place}: {reason(error)}") from error
    return newest and newest.with_suffix("")


def _stated_prefix(state: Path) -> Path:
    match = _STATED_PREFIX.search(read_plain(state, _MAX_STATE).decode("latin-1"))
    if match is None:
        raise CheckpointError(
            f"{display_name(state)} names no checkpoint: correct it, or delete it to take the newest one"
        )
    stated = Path(_unescaped(match[1]))
    if ".." in stated.parts:
        raise CheckpointError(
            f"{display_name(state)} names a checkpoint outside of its folder: correct it, or delete it"
        )
    prefix = state.parent / (stated.name if stated.is_absolute() else stated)
    if not _with_suffix(prefix, ".index").is_file():
        name = display_name(prefix.name)
        raise CheckpointError(
            f"{display_name(state)} names the checkpoint {name}, but there is no {name}.index: "
            "put it there, or delete the file to take the newest one"
        )
    return prefix


def _unescaped(text: str) -> str:
    r"""Undo the escapes of protocol buffers' text format: "\303\251" are the two UTF-8 bytes of é."""
    bytes_as_text = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8) % 256), text)
    return re.sub(r"\\(.)", r"\1", bytes_as_text).encode("latin-1").decode(errors="replace")


def _with_suffix(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def _n_shards(header: bytes | None) -> int:
    """The number of data files (BundleHeaderProto)."""
    if header is None:
        raise WireError("it has no header")
    fields = dict(read_fields(header))
    if fields.get(2, 0) != 0:
        raise WireError("its numbers are big-endian, which is not supported")
    return _number(fields.get(1, 0))


def _entry(message: bytes) -> _Entry:
    fields = dict(read_fields(message))
    dtype, shard, offset, size, crc = (_number(fields.get(number, 0)) for number in (1, 3, 4, 5, 6))
    shape = _shape(_message(fields.get(2, b"")))
    return _Entry(dtype, shape, shard, offset, size, crc, is_sliced=7 in fields)


def _shape(message: bytes) -> tuple[int, ...]:
    """The sizes of all axes (TensorShapeProto): field 2 is an axis, whose field 1 is its size."""
    axes = [_message(value) for number, value in read_fields(message) if number == 2]
    return tuple(_number(dict(read_fields(axis)).get(1, 0)) for axis in axes)


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise WireError("it holds text where a number belongs")
    return value


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise WireError("it holds a number where a message belongs")
    return value
