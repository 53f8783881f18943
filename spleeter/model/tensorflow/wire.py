"""Reader of the wire format of protocol buffers: numbers and fields.

The format: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator

__all__ = ["WireError", "read_fields", "read_varint"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_SIZE = 10  # bytes, of 7 bits each, for a number of 64 bits


class WireError(ValueError):
    """The bytes are not in this format; the message is the reason, as the end of a sentence."""


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned number of up to 64 bits in its shortest encoding, which all writers use.

    Returns:
        The number, and the position after it.

    Raises:
        WireError: if it does not end within the data or within ten bytes, or its encoding is not the shortest.
    """
    value = 0
    for i, byte in enumerate(data[position : position + _MAX_VARINT_SIZE]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if (i and not byte) or value >= 2**64:
                break
            return value, position + i + 1
    raise WireError("a number in it is malformed")


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Read a message's fields in order: pairs of field number and value.

    Varints and fixed-size numbers are unsigned ints; text, bytes and messages are bytes.

    Raises:
        WireError: if a field reaches beyond the message or is of an unknown type.
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        value: int | bytes
        if tag & 7 == _VARINT:
            value, position = read_varint(message, position)
        elif tag & 7 in (*_FIXED_SIZES, _BYTES):
            size, position = _size(message, position, tag & 7)
            content, position = message[position : position + size], position + size
            if len(content) < size:
                raise WireError("a field in it is cut off")
            value = content if tag & 7 == _BYTES else int.from_bytes(content, "little")
        else:
            raise WireError(f"a field in it has the unknown type {tag & 7}")
        yield tag >> 3, value


def _size(message: bytes, position: int, wire_type: int) -> tuple[int, int]:
    if wire_type == _BYTES:
        return read_varint(message, position)
    return _FIXED_SIZES[wire_type], position
