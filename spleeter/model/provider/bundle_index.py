"""How many data files a TensorFlow V2 checkpoint has, and how long each is: read from its index.

That is enough to tell a whole checkpoint from a torn one without reading the weights. An index is a LevelDB table
(its doc/table_format.md) of protocol buffers (tensorflow/core/protobuf/tensor_bundle.proto): the header under the
empty key, and one entry for each tensor.
"""

from collections.abc import Iterator

_FOOTER_LENGTH = 48
_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")

# Field numbers in tensor_bundle.proto.
_HEADER_NUM_SHARDS = 1
_ENTRY_SHARD, _ENTRY_OFFSET, _ENTRY_SIZE = 3, 4, 5


def shard_sizes(index: bytes) -> list[int]:
    """The least size of each data file in bytes, in order, as the whole `index` file tells it.

    Raises:
        ValueError: if `index` is damaged.
    """
    if len(index) < _FOOTER_LENGTH or not index.endswith(_MAGIC):
        raise ValueError("its end is missing")
    try:
        return _shard_sizes(index)
    except IndexError as error:
        raise ValueError("it is damaged") from error


def _shard_sizes(index: bytes) -> list[int]:
    sizes: list[int] = []
    for key, value in _table(index):
        fields = _varint_fields(value)
        if not key:
            sizes = [0] * min(fields.get(_HEADER_NUM_SHARDS, 0), 99_999)  # file names have five digits
        else:
            shard = fields.get(_ENTRY_SHARD, 0)
            end = fields.get(_ENTRY_OFFSET, 0) + fields.get(_ENTRY_SIZE, 0)
            sizes[shard] = max(sizes[shard], end)
    return sizes


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of the table, in order."""
    footer = index[-_FOOTER_LENGTH:]
    _, at = _block(footer, 0)  # the metaindex, which a bundle does not use
    top, _ = _block(footer, at)
    for _, handle in _entries(index, top):
        yield from _entries(index, _block(handle, 0)[0])


def _block(handle: bytes, at: int) -> tuple[slice, int]:
    """The place of a block, from its handle; and where the handle ends."""
    offset, at = _varint(handle, at)
    length, at = _varint(handle, at)
    return slice(offset, offset + length), at


def _entries(index: bytes, place: slice) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block. Each key leaves out what it shares with the key before."""
    block = index[place]
    if index[place.stop]:  # IndexError if the block ends outside the file
        raise ValueError("it is compressed, which TensorFlow does not do")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")  # restart points and their number
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def _varint_fields(message: bytes) -> dict[int, int]:
    """The integer fields of a protocol buffer, by number; the others are skipped."""
    fields: dict[int, int] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            fields[number], at = _varint(message, at)
        elif wire_type == 2:
            length, at = _varint(message, at)
            at += length
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            raise ValueError("it is damaged")
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 integer at `at`, and where it ends. IndexError past the end."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
