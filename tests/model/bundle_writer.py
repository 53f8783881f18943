"""Writes TensorFlow V2 bundles for tests: also such as TensorFlow would not write, with the right checksums."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message, as a varint or as bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + value.to_bytes(4, "little")


def masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    rotated = (crc >> 15) | ((crc & 0x7FFF) << 17)
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF


def block(entries: Iterable[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    """The content of a block, with each key's start left out where the key before has the same."""
    content, restarts, previous = b"", [0], b""
    for i, (key, value) in enumerate(entries):
        if i and i % restart_interval == 0:
            restarts.append(len(content))
            previous = b""
        shared = next((n for n, pair in enumerate(zip(key, previous, strict=False)) if pair[0] != pair[1]), None)
        n_shared = min(len(key), len(previous)) if shared is None else shared
        content += varint(n_shared) + varint(len(key) - n_shared) + varint(len(value)) + key[n_shared:] + value
        previous = key
    return content + b"".join(place.to_bytes(4, "little") for place in [*restarts, len(restarts)])


def table(blocks: Iterable[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """A whole file of blocks, each given with the last of its keys and its content."""
    data, index = b"", []
    for last_key, content in blocks:
        index.append((last_key, varint(len(data)) + varint(len(content))))
        data += with_trailer(content, compression)
    metaindex = block([])
    handles = varint(len(data)) + varint(len(metaindex))
    data += with_trailer(metaindex)
    handles += varint(len(data)) + varint(len(block(index)))
    data += with_trailer(block(index))
    return data + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def with_trailer(content: bytes, compression: int = 0) -> bytes:
    checked = content + bytes([compression])
    return checked + masked(checked).to_bytes(4, "little")


def simple_table(entries: Mapping[bytes, bytes], block_size: int = 10**6, restart_interval: int = 16) -> bytes:
    """The entries in the order of their keys, so many in each block."""
    pairs = sorted(entries.items())
    groups = [pairs[i : i + block_size] for i in range(0, len(pairs), block_size)]
    return table((group[-1][0], block(group, restart_interval)) for group in groups)


def shape_message(shape: Iterable[int]) -> bytes:
    return b"".join(field(2, field(1, size) if size else b"") for size in shape)


def entry(array: np.ndarray, shard: int, offset: int, **changes: Any) -> bytes:
    """A variable's message; `changes` may replace dtype, shape, size, crc, or append bytes as `more`."""
    data = array.tobytes()
    return (
        field(1, changes.get("dtype", DTYPES.get(array.dtype.name, 7)))
        + field(2, shape_message(changes.get("shape", array.shape)))
        + field(3, shard)
        + field(4, offset)
        + field(5, changes.get("size", len(data)))
        + fixed32(6, changes.get("crc", masked(data)))
        + bytes(changes.get("more", b""))
    )


def header(n_shards: int = 1, endianness: int = 0) -> bytes:
    return field(1, n_shards) + field(2, endianness) + field(3, field(1, 1))


def write_bundle(prefix: Path, variables: Mapping[str, np.ndarray], n_shards: int = 1, **changes: Any) -> None:
    """Write the index and the data files; `changes` are made to every variable's message."""
    shards = [b""] * n_shards
    entries = {b"": header(n_shards)}
    for i, (name, array) in enumerate(sorted(variables.items())):
        shard = i % n_shards
        entries[name.encode()] = entry(array, shard, len(shards[shard]), **changes)
        shards[shard] += array.tobytes()
    prefix.with_name(f"{prefix.name}.index").write_bytes(simple_table(entries, block_size=7))
    for i, data in enumerate(shards):
        prefix.with_name(f"{prefix.name}.data-{i:05}-of-{n_shards:05}").write_bytes(data)
