"""Weights are NumPy arrays by the names of the network's parameters, and need no torch."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError
from spleeter.model.checkpoint import WEIGHTS_FILE, Weights, open_weights, save_model, write_weights
from spleeter.model.functions import build
from spleeter.model.provider.folder import flaw
from spleeter.model.tensorflow.bundle import TensorFlowBundle
from tests.model.bundle_writer import write_bundle
from tests.model.golden import CASES, GOLDEN

SMALL = GOLDEN / "blstm-2stems"


def opened(case: Path, folder: Path | None = None) -> Weights:
    return open_weights(folder or case, Configuration.load(case / "config.json"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_weights_have_the_networks_names_and_shapes(case: Path) -> None:
    weights = opened(case)
    parameters = build(Configuration.load(case / "config.json")).state_dict()
    weights.require(parameters)
    for name in weights.names:
        weights.read(name, tuple(parameters[name].shape))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_arrays_come_back_as_they_were_saved(tmp_path: Path, case: Path) -> None:
    before = opened(case)
    arrays = {name: before.read(name) for name in before.names}  # kernels among them are not contiguous
    save_model(tmp_path, arrays, Configuration.load(case / "config.json"))
    after = opened(case, tmp_path)
    assert after.names == before.names
    for name, array in arrays.items():
        np.testing.assert_array_equal(after.read(name, array.shape), array)


def test_full_path_of_a_built_in_type_is_the_same_network() -> None:
    values = Configuration.load(SMALL / "config.json").to_dict()
    values["model"]["type"] = f"spleeter.model.functions.{values['model']['type']}"
    weights = open_weights(SMALL, Configuration.load(values))
    assert weights.names == opened(SMALL).names


def test_a_changed_array_does_not_reach_the_file(tmp_path: Path) -> None:
    write_weights(tmp_path / WEIGHTS_FILE, {"a": np.zeros(4, np.float32)})
    (tmp_path / "configuration.json").write_text((SMALL / "config.json").read_text())
    for _ in range(2):
        array = opened(SMALL, tmp_path).read("a")
        assert not array.any()
        array += 1


@pytest.mark.parametrize(
    ("dtype", "bits"), [(torch.bfloat16, np.uint16), (torch.float8_e4m3fn, np.uint8), (torch.float8_e5m2, np.uint8)]
)
def test_a_type_that_numpy_lacks_is_read_as_its_bits(
    tmp_path: Path, dtype: torch.dtype, bits: type[np.unsignedinteger]
) -> None:
    tensor = torch.tensor([[1.0, -0.5, 3.0]]).to(dtype)
    save_file({"other": torch.ones(5), "a": tensor}, tmp_path / WEIGHTS_FILE)
    (tmp_path / "configuration.json").write_text((SMALL / "config.json").read_text())
    array = opened(SMALL, tmp_path).read("a", (1, 3), str(dtype).removeprefix("torch."))
    assert array.dtype == bits
    assert torch.equal(torch.from_numpy(array).view(dtype).float(), tensor.float())
    with pytest.raises(CheckpointError, match=r"a is \(1, 3\) b?float\S+, but the model's is \(1, 3\) float32"):
        opened(SMALL, tmp_path).read("a", (1, 3))


def test_torchs_batch_counters_are_no_weights() -> None:
    weights = opened(GOLDEN / "unet-2stems")
    weights.require([*weights.names, "networks.0.encoder.1.norm.num_batches_tracked"])
    with pytest.raises(CheckpointError, match=r"lacks networks\.0\.more: it belongs to another model"):
        weights.require([*weights.names, "networks.0.more"])


def test_a_weight_of_another_shape_is_refused() -> None:
    weights = opened(GOLDEN / "unet-2stems")
    with pytest.raises(CheckpointError, match=r"conv2d_6/bias is \(2,\) float32, but the model's is \(3,\) float32"):
        weights.read("networks.0.head.bias", (3,))


def test_failed_save_leaves_the_files_as_they_were(tmp_path: Path) -> None:
    configuration = Configuration.load(SMALL / "config.json")
    save_model(tmp_path, {"a": np.zeros(3)}, configuration)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail_midway(arrays: object, path: Path, notes: object) -> None:
        path.write_bytes(b"half of it")
        raise SafetensorError("No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        save_model(tmp_path, {"a": np.ones(3)}, configuration, fail_midway)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_reading_needs_no_torch() -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from spleeter.configuration import Configuration
from spleeter.model.checkpoint import open_weights
import spleeter.model.provider.github
weights = open_weights(Path({str(SMALL)!r}), Configuration.load({str(SMALL / "config.json")!r}))
print(sum(weights.read(name).size for name in weights.names))
"""
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    parameters = build(Configuration.load(SMALL / "config.json")).parameters()
    assert int(output) == sum(parameter.numel() for parameter in parameters)


SPARSE = 2**28
"""Elements of an array of 1 GiB; a file of that size without content is a few hundred bytes in an archive."""


def sparse_safetensors(folder: Path) -> Weights:
    save_model(folder, {}, Configuration.load(SMALL / "config.json"))
    names = ["a"]
    entries = {
        name: {"dtype": "F32", "shape": [SPARSE], "data_offsets": [4 * SPARSE * index, 4 * SPARSE * (index + 1)]}
        for index, name in enumerate(names)
    }
    header = json.dumps(entries).encode()
    with (folder / WEIGHTS_FILE).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * SPARSE * len(names))
    return opened(SMALL, folder)


def sparse_tensorflow(folder: Path) -> Weights:
    variables = {name: np.zeros(1, np.float32) for name in TensorFlowBundle(SMALL / "model").names}
    write_bundle(folder / "model", variables, shape=(SPARSE,), size=4 * SPARSE, crc=0)
    with (folder / "model.data-00000-of-00001").open("r+b") as file:
        file.truncate(8 * SPARSE)
    return opened(SMALL, folder)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak of memory, and sparse files")
@pytest.mark.parametrize("make", [sparse_safetensors, sparse_tensorflow])
def test_huge_weights_are_refused_by_their_shape_before_they_are_read(
    tmp_path: Path, make: Callable[[Path], Weights]
) -> None:
    from resource import RUSAGE_SELF, getrusage

    weights = make(tmp_path)
    assert flaw(tmp_path) is None, "the sizes agree with each other"
    before = getrusage(RUSAGE_SELF).ru_maxrss
    for name in weights.names:
        with pytest.raises(CheckpointError, match=r"is \(\d{9},\) float32, but the model's is \(3,\) float32"):
            weights.read(name, (3,))
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"


def test_an_array_of_no_values_that_numpy_cannot_have_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, {}, Configuration.load(SMALL / "config.json"))
    header = json.dumps({"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}).encode()
    (tmp_path / WEIGHTS_FILE).write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="'a' has the impossible shape"):
        opened(SMALL, tmp_path).read("a")


def test_a_header_beyond_its_bound_is_not_read(tmp_path: Path) -> None:
    save_model(tmp_path, {}, Configuration.load(SMALL / "config.json"))
    for size in (2**24 + 1, 2**63, 2**64 - 1):
        with (tmp_path / WEIGHTS_FILE).open("wb") as file:
            file.write(size.to_bytes(8, "little") + b"{")
            file.truncate(2**30)
        with pytest.raises(CheckpointError, match=f"its header would have {size} bytes, more than 16777216"):
            opened(SMALL, tmp_path)


@pytest.mark.parametrize(
    "entries",
    [
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]},
        },
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}},
        {"a": {"dtype": "V32", "shape": [4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]}},
        {"a": None},
        [],
    ],
)
def test_headers_that_contradict_themselves_are_one_clear_line(tmp_path: Path, entries: object) -> None:
    save_model(tmp_path, {}, Configuration.load(SMALL / "config.json"))
    header = json.dumps(entries).encode()
    (tmp_path / WEIGHTS_FILE).write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert "is not whole" in str(flaw(tmp_path))
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or cannot be read") as caught:
        opened(SMALL, tmp_path)
    assert len(str(caught.value).splitlines()) == 1
