"""Numbers and fields come back as they were written, and all other bytes are a WireError."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleeter.model.tensorflow.wire import WireError, read_fields, read_varint
from tests.model.bundle_writer import field, fixed32, varint

NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS, st.binary(max_size=3), st.binary(max_size=3))
def test_number_comes_back(value: int, before: bytes, after: bytes) -> None:
    data = before + varint(value) + after
    assert read_varint(data, len(before)) == (value, len(data) - len(after))


@pytest.mark.parametrize(("data", "value"), [(b"\x00", 0), (b"\x96\x01", 150), (b"\xff" * 9 + b"\x01", 2**64 - 1)])
def test_examples_of_the_specification(data: bytes, value: int) -> None:
    assert read_varint(data, 0) == (value, len(data))


@given(NUMBERS)
def test_cut_off_number(value: int) -> None:
    data = varint(value)
    for size in range(len(data)):
        with pytest.raises(WireError):
            read_varint(data[:size], 0)


@pytest.mark.parametrize("data", [b"\x80" * 10 + b"\x01", b"\xff" * 9 + b"\x02", b"\x85\x00"])
def test_number_of_too_many_bits_or_bytes(data: bytes) -> None:
    with pytest.raises(WireError):
        read_varint(data, 0)


@given(st.binary(max_size=12))
def test_each_number_has_one_encoding(data: bytes) -> None:
    with contextlib.suppress(WireError):
        value, size = read_varint(data, 0)
        assert varint(value) == data[:size]


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), NUMBERS | st.binary())))
def test_fields_come_back(fields: list[tuple[int, int | bytes]]) -> None:
    message = b"".join(field(number, value) for number, value in fields)
    assert list(read_fields(message)) == fields


def test_fixed_size_numbers() -> None:
    message = fixed32(6, 0x01020304) + varint(7 << 3 | 1) + (2**40).to_bytes(8, "little")
    assert list(read_fields(message)) == [(6, 0x01020304), (7, 2**40)]


@pytest.mark.parametrize("message", [field(1, b"abc")[:-1], fixed32(1, 5)[:-1], b"\x0b", b"\x08"])
def test_broken_message(message: bytes) -> None:
    with pytest.raises(WireError):
        list(read_fields(message))


@given(st.binary())
def test_any_bytes_are_a_message_or_a_wire_error(message: bytes) -> None:
    with contextlib.suppress(WireError):
        assert all(number >= 0 for number, _ in read_fields(message))
