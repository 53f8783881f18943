"""Variables come back as they were written, any damage is a CheckpointError, and the newest checkpoint is found."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from spleeter.errors import CheckpointError
from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle
from tests.model.bundle_writer import DTYPES, field, header, simple_table, write_bundle
from tests.model.golden import GOLDEN

CASE = GOLDEN / "blstm-2stems"
DATA = "model.data-00000-of-00001"

with_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


def read_all(prefix: Path) -> dict[str, np.ndarray]:
    bundle = TensorFlowBundle(prefix)
    return {name: bundle.read(name) for name in bundle.names}


@with_files
@given(st.dictionaries(st.text(min_size=1, max_size=12), arrays, max_size=8), st.integers(1, 3))
def test_variables_come_back(tmp_path: Path, variables: dict[str, np.ndarray], n_shards: int) -> None:
    variables = {name: array for name, array in variables.items() if name.isprintable()}
    write_bundle(tmp_path / "model", variables, n_shards)
    read = read_all(tmp_path / "model")
    assert read.keys() == variables.keys()
    for name, array in variables.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_reads_what_tensorflow_wrote() -> None:
    variables = read_all(CASE / "model")
    assert variables["global_step"] == 1234  # as in tests/golden/record.py
    assert variables["time_distributed_3/kernel"].shape == (6, 80)
    assert {array.dtype.name for name, array in variables.items() if name != "global_step"} == {"float32"}


def test_the_values_of_a_known_seed() -> None:
    """record.py gave the U-Net's first kernel the first numbers of its generator."""
    kernel = TensorFlowBundle(GOLDEN / "unet-2stems" / "model").read("conv2d/kernel")
    expected = np.random.RandomState(0).normal(0, 1.5 / np.sqrt(50), (5, 5, 2, 2)).astype(np.float32)
    np.testing.assert_array_equal(kernel, expected)


def test_truncated_data(tmp_path: Path) -> None:
    shutil.copy(CASE / "model.index", tmp_path)
    data = (CASE / DATA).read_bytes()
    for size in range(0, len(data), 97):
        (tmp_path / DATA).write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="cut off"):
            read_all(tmp_path / "model")


@with_files
@given(st.integers(0, (CASE / DATA).stat().st_size - 1), st.integers(0, 7))
def test_any_flipped_bit_in_the_data(tmp_path: Path, position: int, bit: int) -> None:
    shutil.copy(CASE / "model.index", tmp_path)
    data = bytearray((CASE / DATA).read_bytes())
    data[position] ^= 1 << bit
    (tmp_path / DATA).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"variable '.+' .*checksum"):
        read_all(tmp_path / "model")


def test_missing_data(tmp_path: Path) -> None:
    shutil.copy(CASE / "model.index", tmp_path)
    with pytest.raises(CheckpointError, match=DATA):
        read_all(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dtype": 7}, "type 7"),  # a string
        ({"more": field(7, b"")}, "slices"),
        ({"shape": (3,)}, "contradicts its shape"),
        ({"shape": (2**64 - 1,)}, "contradicts its shape"),
        ({"size": 2**62, "shape": (2**60,)}, "cut off"),
        ({"shape": (2, *[1] * 70)}, "impossible shape"),
        ({"shape": (2**63,) * 100_000}, "impossible shape of 100000 axes"),
        ({"crc": 0}, "checksum"),
    ],
)
def test_unusable_entries(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write_bundle(tmp_path / "model", {"some/kernel": np.ones(2, np.float32)}, **changes)
    with pytest.raises(CheckpointError, match=rf"'some/kernel'.*{reason}"):
        read_all(tmp_path / "model")


def test_a_variable_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    size = 2**33
    write_bundle(tmp_path / "model", {"some/kernel": np.ones(2, np.float32)}, size=size, shape=(size // 4,))
    with (tmp_path / DATA).open("r+b") as file:
        file.truncate(size)  # sparse
    with pytest.raises(CheckpointError, match=f"has {size} bytes, and at most 1073741824 are read"):
        read_all(tmp_path / "model")


@with_files
@given(st.binary(max_size=80), st.binary(max_size=80) | st.just(header()))
def test_garbage_with_right_checksums(tmp_path: Path, message: bytes, header_message: bytes) -> None:
    (tmp_path / "model.index").write_bytes(simple_table({b"": header_message, b"a": message}))
    (tmp_path / DATA).write_bytes(bytes(100))
    with contextlib.suppress(CheckpointError):
        assert read_all(tmp_path / "model").keys() == {"a"}


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({b"a": b""}, "no header"),
        ({b"": header(endianness=1)}, "big-endian"),
        ({b"": header(), b"\xff": b""}, "utf-8"),
        ({b"": header(), b"a": field(5, b"x")}, "text where a number belongs"),
        ({b"": header(), b"a": field(2, 5)}, "number where a message belongs"),
    ],
)
def test_no_index_of_a_checkpoint(tmp_path: Path, entries: dict[bytes, bytes], reason: str) -> None:
    (tmp_path / "model.index").write_bytes(simple_table(entries))
    with pytest.raises(CheckpointError, match=reason):
        TensorFlowBundle(tmp_path / "model")


def touch(folder: Path, *names: str) -> None:
    for time, name in enumerate(names):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (time, time))


@pytest.mark.parametrize(
    ("stated", "prefix"),
    [
        ("model", "model"),
        ("model.ckpt-20", "model.ckpt-20"),
        ("/where/it/was/trained/model.ckpt-20", "model.ckpt-20"),
        (r"mod\303\250le", "modèle"),
        ("modèle", "modèle"),
    ],
)
def test_the_state_file_decides(tmp_path: Path, stated: str, prefix: str) -> None:
    touch(tmp_path, f"{prefix}.index", "later.index")
    state = f'model_checkpoint_path: "{stated}"\nall_model_checkpoint_paths: "later"\n'
    (tmp_path / "checkpoint").write_text(state, encoding="utf-8")
    assert find_bundle(tmp_path) == tmp_path / prefix


def test_without_a_state_file(tmp_path: Path) -> None:
    assert find_bundle(tmp_path) is None
    touch(tmp_path, "model.ckpt-10.index", "model.ckpt-9.index", "._model.index")
    assert find_bundle(tmp_path) == tmp_path / "model.ckpt-9"
    touch(tmp_path, "model.index")
    assert find_bundle(tmp_path) == tmp_path / "model"


def test_a_state_file_names_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    touch(tmp_path, "model.index")
    (tmp_path / "folder" / "checkpoint").write_text('model_checkpoint_path: "../model"')
    with pytest.raises(CheckpointError, match="names a checkpoint outside of its folder"):
        find_bundle(tmp_path / "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes in folders")
def test_what_is_no_plain_file_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("checkpoint", "model.index", DATA):
        folder = tmp_path / f"pipe for {name}"
        shutil.copytree(CASE, folder)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        with pytest.raises(
            CheckpointError, match=rf"{re.escape(name)}.* it is a pipe, not a plain file|there is no {name}"
        ):
            read_all(find_bundle(folder) or folder / "model")
    (tmp_path / "checkpoint").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=r"checkpoint: it is a device, not a plain file"):
        find_bundle(tmp_path)
    (tmp_path / "checkpoint").unlink()
    with (tmp_path / "checkpoint").open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(CheckpointError, match="it has more than 1048576 bytes"):
        find_bundle(tmp_path)


def test_state_file_that_names_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "model.index")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone"')
    with pytest.raises(CheckpointError, match=re.escape("no gone.index")):
        find_bundle(tmp_path)
    (tmp_path / "checkpoint").write_text(r'model_checkpoint_path: "\033[31mred"')
    with pytest.raises(CheckpointError, match=re.escape(r"there is no '\x1b[31mred'.index")) as caught:
        find_bundle(tmp_path)
    assert "\x1b" not in str(caught.value)
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(CheckpointError, match="names no checkpoint"):
        find_bundle(tmp_path)


@with_files
@given(st.binary(max_size=60) | st.binary(max_size=600).map(lambda name: b'model_checkpoint_path: "' + name + b'"'))
def test_any_state_file(tmp_path: Path, state: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(state)
    with pytest.raises(CheckpointError, match=r"names no checkpoint|names the checkpoint|cannot read"):
        find_bundle(tmp_path)
