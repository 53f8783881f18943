"""A network is loaded with all of its weights or not at all, and comes back as it was saved."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from spleeter.backends.torch.weights import load_network, save_network
from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError
from spleeter.model.checkpoint import WEIGHTS_FILE
from spleeter.model.functions import build
from spleeter.model.tensorflow.bundle import TensorFlowBundle
from tests.model.bundle_writer import write_bundle
from tests.model.golden import CASES, GOLDEN, magnitudes, snr

SMALL = GOLDEN / "blstm-2stems"
DATA = "model.data-00000-of-00001"

with_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


def configured(case: Path, **changes: object) -> Configuration:
    return Configuration.load({**Configuration.load(case / "config.json").to_dict(), **changes})


def weights(folder: Path, configuration: Configuration) -> dict[str, Tensor]:
    return load_network(folder, configuration).state_dict()


def assert_equal(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(actual[key], tensor), key


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_networks_give_what_the_original_gave(case: Path) -> None:
    configuration = configured(case)
    network = load_network(case, configuration)
    assert not network.training
    with torch.inference_mode():
        estimates = network(torch.from_numpy(magnitudes(configuration.T, configuration.F))).numpy()
    expected = np.load(case / "expected.npz")["stem_magnitudes"]
    assert estimates.shape == expected.shape
    for stem, expected_stem in zip(estimates, expected, strict=True):
        assert snr(expected_stem, stem) > 120  # dB; about 130 were measured


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_network_comes_back_as_it_was_saved(tmp_path: Path, case: Path) -> None:
    configuration = configured(case)
    network = load_network(case, configuration)
    save_network(tmp_path / "new" / "folder", network, configuration)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {WEIGHTS_FILE, "configuration.json"}
    assert_equal(weights(tmp_path / "new" / "folder", configuration), network.state_dict())


OWN = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        torch.nn.init.constant_(self.layer.bias, 12345.0)
        self.scale = torch.nn.Parameter(torch.ones(2, 3).to(torch.DTYPE))
        self.register_buffer("constant", torch.nn.init.constant_(torch.empty(3), 7.0), persistent=False)
        self.norm = torch.nn.BatchNorm2d(2)

def net(*_): return Net()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Configuration]:
    """Puts a module on Python's path whose network has a parameter of a given type; returns its configuration."""

    def make(dtype: str) -> Configuration:
        (tmp_path / f"own_{dtype}.py").write_text(OWN.replace("DTYPE", dtype))
        monkeypatch.syspath_prepend(tmp_path)
        return configured(SMALL, model={"type": f"own_{dtype}.net"})

    return make


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn", "float64", "complex64"])
def test_weights_of_every_type_come_back(tmp_path: Path, own: Callable[[str], Configuration], dtype: str) -> None:
    configuration, trust = own(dtype), f"own_{dtype}"
    network = build(configuration, trust)
    scale = network.get_parameter("scale")
    with torch.no_grad():
        scale.copy_(torch.tensor([[0.5, -2.0, 3.0], [0.25, 1.0, 8.0]]).to(scale.dtype))
        network.get_buffer("norm.num_batches_tracked").fill_(5)
    save_network(tmp_path / "model", network, configuration)
    loaded = load_network(tmp_path / "model", configuration, trust).state_dict()
    assert loaded.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8)), name


def test_parameters_are_loaded_without_being_initialised(
    tmp_path: Path, own: Callable[[str], Configuration], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a buffer that is not saved is as its builder made it."""
    configuration = own("float32")
    save_network(tmp_path / "model", build(configuration, "own_float32"), configuration)

    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("a parameter was initialised")

    monkeypatch.setattr(torch.nn.Parameter, "uniform_", refuse)
    network = load_network(tmp_path / "model", configuration, "own_float32")
    assert network.get_buffer("constant").tolist() == [7, 7, 7]


def test_folder_with_weights_is_a_whole_model(tmp_path: Path) -> None:
    configuration = configured(SMALL)
    save_network(tmp_path, build(configuration), configuration)
    found = Configuration.load(tmp_path)
    assert {**found.to_dict(), "model_dir": "."} == {**configuration.to_dict(), "model_dir": "."}
    load_network(Path(found.model_dir), found)


def test_saved_from_another_memory_layout(tmp_path: Path) -> None:
    configuration = configured(GOLDEN / "unet-2stems")
    network = build(configuration)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_network(tmp_path, network, configuration)
    assert_equal(weights(tmp_path, configuration), network.state_dict())


def test_own_format_goes_before_tensorflows(tmp_path: Path) -> None:
    shutil.copytree(SMALL, tmp_path, dirs_exist_ok=True)
    network = build(configured(SMALL))
    save_network(tmp_path, network, configured(SMALL))
    assert_equal(weights(tmp_path, configured(SMALL)), network.state_dict())


def test_what_training_adds_is_ignored(tmp_path: Path) -> None:
    case = GOLDEN / "unet-2stems"
    bundle = TensorFlowBundle(case / "model")
    variables = {name: bundle.read(name) for name in bundle.names}
    slots = {f"{name}/{slot}": bundle.read(name) + 1 for name in bundle.names for slot in ("Adam", "Adam_1")}
    steps = {"beta1_power": np.float32(0.9), "beta2_power": np.float32(0.99)}
    del slots["global_step/Adam"], slots["global_step/Adam_1"]
    write_bundle(tmp_path / "model.ckpt-7", {**variables, **slots, **{k: np.array(v) for k, v in steps.items()}})
    assert_equal(weights(tmp_path, configured(case)), weights(case, configured(case)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instrument_list": ["vocals", "drums", "bass"]}, r"lacks bidirectional_6/.* and \d+ more"),
        ({"instrument_list": ["vocals"]}, r"has the unexpected bidirectional_3/"),
        ({"model": {"type": "unet.unet"}, "T": 64, "F": 64}, r"lacks .* and has the unexpected"),
        ({"F": 41}, r"bidirectional/forward_cu_dnnlstm/kernel is \(12, 80\) float32, but the model's is \(12, 82\)"),
        ({"model": {"type": "blstm.blstm", "params": {"lstm_units": 4}}}, r"\(12, 80\) .* is \(16, 80\)"),
    ],
)
def test_tensorflow_checkpoint_of_another_model(change: dict[str, object], reason: str) -> None:
    with pytest.raises(CheckpointError, match=rf"blstm-2stems.model.*{reason}"):
        load_network(SMALL, configured(SMALL, **change))


def test_tensorflow_checkpoint_for_a_network_of_your_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import torch\ndef net(*_): return torch.nn.Identity()")
    with pytest.raises(CheckpointError, match=r"'mine\.net', which TensorFlow never had"):
        load_network(SMALL, configured(SMALL, model={"type": "mine.net"}), tmp_path / "mine.py")


def test_variable_of_another_type(tmp_path: Path) -> None:
    bundle = TensorFlowBundle(SMALL / "model")
    write_bundle(tmp_path / "model", {name: bundle.read(name).astype(np.float64) for name in bundle.names})
    with pytest.raises(CheckpointError, match=r"float64, but the model's is .* float32"):
        load_network(tmp_path, configured(SMALL))


def test_no_weights(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CheckpointError, match=f"no weights in {folder}"):
            load_network(folder, configured(SMALL))
    with pytest.raises(CheckpointError, match="cannot read the model folder"):
        load_network(tmp_path / ("too long a name" * 100), configured(SMALL))


def test_state_file_alone_is_no_model(tmp_path: Path) -> None:
    shutil.copy(SMALL / "checkpoint", tmp_path)
    with pytest.raises(CheckpointError, match=r"no model\.index"):
        load_network(tmp_path, configured(SMALL))


@with_files
@given(st.data())
def test_damaged_tensorflow_checkpoint_is_never_loaded(tmp_path: Path, data: st.DataObject) -> None:
    """Or it is loaded as it was: the damage may lie where nothing is read."""
    shutil.copytree(SMALL, tmp_path, dirs_exist_ok=True)
    path = tmp_path / data.draw(st.sampled_from(["model.index", DATA]))
    path.write_bytes(damaged(path.read_bytes(), data))
    with contextlib.suppress(CheckpointError):
        assert_equal(weights(tmp_path, configured(SMALL)), weights(SMALL, configured(SMALL)))


@with_files
@given(st.data())
def test_damaged_own_files_are_no_other_error(tmp_path: Path, data: st.DataObject) -> None:
    """The format has no checksum of the values, so damage there may go unseen; anywhere else it must not."""
    configuration = configured(SMALL)
    save_network(tmp_path, build(configuration), configuration)
    path = tmp_path / data.draw(st.sampled_from([WEIGHTS_FILE, "configuration.json"]))
    path.write_bytes(damaged(path.read_bytes(), data))
    with contextlib.suppress(CheckpointError):
        assert weights(tmp_path, configuration).keys() == build(configuration).state_dict().keys()


def damaged(content: bytes, data: st.DataObject) -> bytes:
    position = data.draw(st.integers(0, len(content) - 1) | st.integers(0, min(3000, len(content) - 1)))
    flip = data.draw(st.integers(0, 255), label="bits to flip, or 0 to cut")
    if not flip:
        return content[:position]
    return content[:position] + bytes([content[position] ^ flip]) + content[position + 1 :]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1])
def test_cut_off_own_weights(tmp_path: Path, size: int) -> None:
    configuration = configured(SMALL)
    save_network(tmp_path, build(configuration), configuration)
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_network(tmp_path, configuration)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instrument_list": ["accompaniment", "vocals"]}, r"instrument_list = \['vocals', .*\['accompaniment', "),
        (
            {"model": {"type": "blstm.blstm", "params": {"lstm_units": 4}}},
            r"model\.params = \{'lstm_units': 3\}, but \{.*4",
        ),
        ({"model": {"type": "unet.unet"}, "T": 64, "F": 64}, r"model\.type = 'blstm\.blstm', but 'unet\.unet'"),
        ({"n_channels": 1}, "n_channels = 2, but 1"),
    ],
)
def test_configuration_that_the_weights_were_not_made_with(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    save_network(tmp_path, build(configured(SMALL)), configured(SMALL))
    with pytest.raises(CheckpointError, match=reason):
        load_network(tmp_path, configured(SMALL, **change))


def test_what_does_not_concern_the_weights_may_differ(tmp_path: Path) -> None:
    case = GOLDEN / "unet-2stems"
    save_network(tmp_path, build(configured(case)), configured(case))
    load_network(tmp_path, configured(case, F=64, T=128, mask_extension="average", separation_exponent=1))


def test_configuration_is_needed(tmp_path: Path) -> None:
    save_network(tmp_path, build(configured(SMALL)), configured(SMALL))
    (tmp_path / "configuration.json").unlink()
    with pytest.raises(CheckpointError, match=r"no usable configuration: .*configuration\.json"):
        load_network(tmp_path, configured(SMALL))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: tensors.pop("networks.1.dense.bias"), r"lacks networks\.1\.dense\.bias: "),
        (lambda tensors: tensors.update(more=torch.ones(1)), "has the unexpected more: "),
        (lambda tensors: tensors.update({"networks.0.dense.bias": torch.ones(81)}), r"\(81,\) .* is \(80,\)"),
        (lambda tensors: tensors.update({"networks.0.dense.bias": torch.ones(80).half()}), "float16, but"),
    ],
)
def test_own_weights_of_another_model(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], reason: str
) -> None:
    save_network(tmp_path, build(configured(SMALL)), configured(SMALL))
    tensors = load_file(tmp_path / WEIGHTS_FILE)
    change(tensors)
    save_file(tensors, tmp_path / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors.*{reason}"):
        load_network(tmp_path, configured(SMALL))


def test_files_are_replaced_not_rewritten(tmp_path: Path) -> None:
    """So a reader that has one open goes on reading the old one."""
    configuration = configured(SMALL)
    save_network(tmp_path, build(configuration), configuration)
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    save_network(tmp_path, build(configuration), configuration)
    assert all(path.stat().st_ino != inode for path, inode in before.items())


def test_save_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"configuration\.json: Not a directory"):
        save_network(tmp_path / "file", build(configured(SMALL)), configured(SMALL))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    configuration = configured(GOLDEN / "unet-2stems")
    network = build(configuration)
    with torch.no_grad():
        network.get_parameter("networks.1.head.bias")[0] = value
    save_network(tmp_path, network, configuration)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: networks\.1\.head\.bias holds NaN or infinite"):
        load_network(tmp_path, configuration)


def test_an_infinite_buffer_may_be_meant(tmp_path: Path) -> None:
    code = tmp_path / "masked.py"
    code.write_text(
        "import torch\n"
        "def net(*_):\n"
        "    network = torch.nn.Linear(2, 2)\n"
        "    network.register_buffer('mask', torch.full((2, 2), -torch.inf))\n"
        "    return network\n"
    )
    configuration = configured(SMALL, model={"type": "masked.net"})
    save_network(tmp_path / "model", build(configuration, code), configuration)
    assert torch.isinf(load_network(tmp_path / "model", configuration, code).get_buffer("mask")).all()
