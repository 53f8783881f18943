"""A table's entries come back as they were written, and any damage is a CheckpointError."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spleeter.errors import CheckpointError
from spleeter.model.tensorflow.table import masked_crc, read_table
from tests.model.bundle_writer import block, simple_table, table, varint, with_trailer
from tests.model.golden import GOLDEN

INDEX = GOLDEN / "blstm-2stems" / "model.index"

with_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(folder: Path, data: bytes) -> dict[bytes, bytes]:
    path = folder / "model.index"
    path.write_bytes(data)
    return read_table(path)


@with_files
@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=200)), st.integers(1, 9), st.integers(1, 5))
def test_entries_come_back(
    tmp_path: Path, entries: dict[bytes, bytes], block_size: int, restart_interval: int
) -> None:
    assert read(tmp_path, simple_table(entries, block_size, restart_interval)) == entries


def test_masked_crc_of_the_specification() -> None:
    # RFC 3720, B.4: the CRC-32C of 32 zeros is 0x8A9136AA; LevelDB's mask rotates it by 15 and adds a constant.
    rotated = 0x8A9136AA >> 15 | (0x8A9136AA & 0x7FFF) << 17
    assert masked_crc(bytes(32)) == (rotated + 0xA282EAD8) % 2**32


def test_reads_what_tensorflow_wrote() -> None:
    names = list(read_table(INDEX))
    assert names[0] == b""
    assert names == sorted(names)
    assert b"bidirectional_5/backward_cu_dnnlstm_5/recurrent_kernel" in names
    assert len(names) == 1 + 2 * (3 * 2 * 3 + 2) + 1


def test_truncated_anywhere(tmp_path: Path) -> None:
    data = INDEX.read_bytes()
    for size in range(len(data)):
        with pytest.raises(CheckpointError):
            read(tmp_path, data[:size])


def test_any_flipped_bit(tmp_path: Path) -> None:
    data = INDEX.read_bytes()
    for position in range(len(data)):
        for bit in {position % 8, 7} if position < len(data) - 60 else range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(CheckpointError):
                read(tmp_path, bytes(damaged))


def test_bytes_put_in_anywhere(tmp_path: Path) -> None:
    data = INDEX.read_bytes()
    for position in range(0, len(data), 7):
        with pytest.raises(CheckpointError):
            read(tmp_path, data[:position] + b"\0" + data[position:])


@with_files
@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=60)), max_size=3), st.integers(0, 255))
def test_garbage_with_right_checksums(tmp_path: Path, blocks: list[tuple[bytes, bytes]], compression: int) -> None:
    with contextlib.suppress(CheckpointError):
        assert isinstance(read(tmp_path, table(blocks, compression)), dict)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([(b"b", block([(b"b", b""), (b"a", b"")]))], "not in order"),
        ([(b"a", block([(b"a", b"")])), (b"a", block([(b"a", b"")]))], "not in order"),
        ([(b"a", varint(1) + varint(1) + varint(0) + b"a" + bytes(4))], "too long"),
        ([(b"a", varint(0) + varint(1) + varint(2**60) + b"a" + bytes(4))], "too long"),
        ([(b"a", b"\xff\xff\xff\xff")], "too short"),
    ],
)
def test_contradictory_blocks(tmp_path: Path, blocks: list[tuple[bytes, bytes]], reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        read(tmp_path, table(blocks))


def test_compressed_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Snappy"):
        read(tmp_path, table([(b"a", block([(b"a", b"")]))], compression=1))


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.index: No such file"):
        read_table(tmp_path / "nothing.index")
    with pytest.raises(CheckpointError, match="cannot read"):
        read_table(tmp_path)


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.index"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(CheckpointError, match="more than 16777216 bytes"):
        read_table(path)


def test_keys_that_grow_without_bound_are_refused(tmp_path: Path) -> None:
    """An entry of four bytes can have a key of a million, of which all but one are those of the key before."""
    first = varint(0) + varint(2**20) + varint(0) + bytes(2**20)
    others = b"".join(varint(2**20 - 1) + varint(1) + varint(0) + bytes([index]) for index in range(1, 200))
    with pytest.raises(CheckpointError, match="its keys have more than 16777216 bytes"):
        read(tmp_path, table([(b"x", first + others + bytes(4) + (1).to_bytes(4, "little"))]))


def test_blocks_that_are_read_again_and_again_are_refused(tmp_path: Path) -> None:
    """Without entries, so that no key tells them apart."""
    content = bytes(1000)  # 249 restarts
    content = content[:-4] + (249).to_bytes(4, "little")
    once = table([(b"a", content)])
    assert read(tmp_path, once) == {}
    handle = varint(0) + varint(1000)
    index = block([(bytes([number]), handle) for number in range(100)])
    data = with_trailer(content)
    metaindex = block([])
    footer = varint(len(data)) + varint(len(metaindex))
    data += with_trailer(metaindex)
    footer += varint(len(data)) + varint(len(index))
    data += with_trailer(index)
    with pytest.raises(CheckpointError, match="its blocks overlap"):
        read(tmp_path, data + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db"))
