"""Reader of sorted table files, the format of a TensorFlow checkpoint's index: keys and values, both bytes.

The format is LevelDB's (https://github.com/google/leveldb/blob/main/doc/table_format.md), with TensorFlow's own magic
number. The file is a sequence of blocks and a footer:

    data blocks ..., metaindex block, index block, footer

Each block holds entries, whose keys are prefix-compressed against the entry before, and ends in a trailer with its
compression and a masked CRC-32C. The index block has the offsets of the data blocks, the footer that of the index.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from spleeter.errors import CheckpointError
from spleeter.model.tensorflow.wire import WireError, read_varint
from spleeter.utils.names import display_name, reason
from spleeter.utils.plain_file import read_plain

__all__ = ["masked_crc", "read_table"]

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_SIZE = 48
_TRAILER_SIZE = 5  # one byte of compression, four of checksum
_NO_COMPRESSION, _SNAPPY = 0, 1
_MASK_DELTA = 0xA282EAD8  # LevelDB's: checksums are stored rotated and offset: a CRC of data with CRCs is weak
_MAX_SIZE = 2**24  # bytes, of the file and of the keys in full; the released models' index files have about 10,000


class _Block(NamedTuple):
    """The extent of a block's entries in the file, in bytes; its trailer follows them."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + _TRAILER_SIZE


def read_table(path: Path) -> dict[bytes, bytes]:
    """Read all entries of a table file, in the order of their keys.

    Raises:
        CheckpointError: if the file cannot be read, is damaged, or is compressed.
    """
    try:
        return dict(_entries_of_table(read_plain(path, _MAX_SIZE)))
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint index {display_name(path)}: {reason(error)}") from error
    except WireError as error:
        raise CheckpointError(
            f"the checkpoint index {display_name(path)} is damaged or of an unsupported kind ({error}): "
            "get the model again"
        ) from error


def masked_crc(data: bytes) -> int:
    """The CRC-32C of `data` in the masked form in which tables and bundles store it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) % 2**32


def _entries_of_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    metaindex, index = _footer(data)
    _checked_content(data, metaindex)  # it is empty, but its checksum must be right
    previous: bytes | None = None
    n_bytes = n_key_bytes = 0
    for _, handle in _entries_of_block(data, index):
        block, _ = _handle(handle, 0)
        n_bytes += block.size + _TRAILER_SIZE
        if n_bytes > len(data):
            raise WireError("its blocks overlap")
        for key, value in _entries_of_block(data, block):
            if previous is not None and key <= previous:
                raise WireError("its keys are not in order")
            n_key_bytes += len(key)
            if n_key_bytes > _MAX_SIZE:  # a byte or two in the file can make a long key of the one before
                raise WireError(f"its keys have more than {_MAX_SIZE} bytes")
            yield key, value
            previous = key


def _footer(data: bytes) -> tuple[_Block, _Block]:
    """The extents of the metaindex and the index."""
    footer = data[-_FOOTER_SIZE:]
    if len(footer) < _FOOTER_SIZE or not footer.endswith(_MAGIC):
        raise WireError("its end is missing")
    metaindex, position = _handle(footer, 0)
    index, position = _handle(footer, position)
    if footer[position : -len(_MAGIC)].strip(b"\0"):
        raise WireError("its footer is damaged")
    return metaindex, index


def _handle(data: bytes, position: int) -> tuple[_Block, int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return _Block(offset, size), position


def _entries_of_block(data: bytes, block: _Block) -> Iterator[tuple[bytes, bytes]]:
    content = _checked_content(data, block)
    n_restarts = int.from_bytes(content[-4:], "little")
    end = len(content) - 4 * (n_restarts + 1)  # after the entries: the offsets of keys without a shared prefix
    if end < 0:
        raise WireError("a block of it is too short")
    key, position = b"", 0
    while position < end:
        n_shared, position = read_varint(content, position)
        n_own, position = read_varint(content, position)
        n_value, position = read_varint(content, position)
        value_start, next_position = position + n_own, position + n_own + n_value
        if n_shared > len(key) or next_position > end:
            raise WireError("an entry of it is too long")
        key = key[:n_shared] + content[position:value_start]
        yield key, content[value_start:next_position]
        position = next_position


def _checked_content(data: bytes, block: _Block) -> bytes:
    if block.end > len(data) - _FOOTER_SIZE:
        raise WireError("a block of it reaches beyond its end")
    trailer = data[block.end - _TRAILER_SIZE : block.end]
    if masked_crc(data[block.offset : block.end - 4]) != int.from_bytes(trailer[1:], "little"):
        raise WireError("a block of it has a wrong checksum")
    if trailer[0] == _SNAPPY:
        raise WireError("it is compressed with Snappy, while TensorFlow writes it plain")
    if trailer[0] != _NO_COMPRESSION:
        raise WireError(f"it has an unknown compression, {trailer[0]}")
    return data[block.offset : block.offset + block.size]
