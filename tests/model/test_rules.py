"""The rules of the networks are those that the networks themselves obey, and are found without loading one."""

import subprocess
import sys
from math import prod
from pathlib import Path

import pytest
import torch
from torch import nn

from spleeter.configuration import Configuration
from spleeter.errors import ConfigurationError, ModelError
from spleeter.model import rules
from spleeter.model.functions import InputShape, build, find_builder
from spleeter.model.rules import find_rules

BUILT_IN = ["unet.unet", "unet.softmax_unet", "blstm.blstm"]
UNETS = BUILT_IN[:2]


def small(model_type: str, **keys: object) -> Configuration:
    params = {"conv_n_filters": [2] * 6} if "unet" in model_type else {"lstm_units": 2}
    return Configuration(model_dir="m", model={"type": model_type, "params": params}, **keys)


@pytest.mark.parametrize("model_type", UNETS)
def test_size_multiple_is_the_product_of_the_strides(model_type: str) -> None:
    configuration = small(model_type)
    network = build(configuration)
    strides = [module.stride[0] for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert prod(strides) == configuration.size_multiple ** len(configuration.instrument_list)


@pytest.mark.parametrize("model_type", BUILT_IN)
@pytest.mark.parametrize("n_multiples", [1, 2])
def test_a_network_takes_every_multiple(model_type: str, n_multiples: int) -> None:
    size = n_multiples * small(model_type).size_multiple
    network = build(small(model_type, T=size, F=size)).eval()
    magnitudes = torch.rand(1, 2, size, size)
    assert network(magnitudes).shape == (2, *magnitudes.shape)


@pytest.mark.parametrize("model_type", UNETS)
@pytest.mark.parametrize(("T", "F"), [(32, 64), (64, 96)])
def test_a_network_refuses_the_sizes_that_its_rules_refuse(model_type: str, T: int, F: int) -> None:
    with pytest.raises(ConfigurationError, match="must be divisible by 64 for a U-Net"):
        small(model_type, T=T, F=F)
    with pytest.raises(ModelError, match="must be divisible by 64"):
        find_builder(model_type)(["vocals"], {}, InputShape(2, T, F))


@pytest.mark.parametrize("model_type", BUILT_IN)
def test_weights_fit_other_numbers_of_bins_as_the_rules_say(model_type: str) -> None:
    def shapes(F: int) -> dict[str, torch.Size]:
        network: nn.Module = build(small(model_type, T=64, F=F))
        return {name: tensor.shape for name, tensor in network.state_dict().items()}

    found = find_rules(model_type)
    assert found is not None
    assert found.takes_any_n_bins == (shapes(64) == shapes(128))


@pytest.mark.parametrize("model_type", BUILT_IN)
def test_the_full_path_of_a_network_finds_its_rules(model_type: str) -> None:
    assert find_rules(f"spleeter.model.functions.{model_type}") is find_rules(model_type) is not None


@pytest.mark.parametrize(
    "model_type", ["mine.net", "package.unet.unet", "unet.unet.unet", "unet", "", ".", "../unet.py"]
)
def test_another_network_has_no_rules(model_type: str) -> None:
    assert find_rules(model_type) is None


def test_a_module_beside_adds_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "convnet.py").write_text(
        "from spleeter.model.rules import NetworkRules\n"
        "from spleeter.utils.json_values import PositiveWhole, StrictModel\n"
        "class Params(StrictModel):\n    depth: PositiveWhole | None = None\n"
        "RULES = NetworkRules(Params, size_multiple=8, size_reason='for three strides', n_channels=(1,))\n"
    )
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    values = {"model_dir": "m", "model": {"type": "convnet.net", "params": {"depth": 0}}, "F": 1020}
    with pytest.raises(ConfigurationError) as caught:
        Configuration.load(values)
    # n_channels, T and F are checked against the network only once its own keys are right
    assert str(caught.value) == "the given mapping: model.params.depth = 0 must be greater than 0"
    with pytest.raises(ConfigurationError) as caught:
        Configuration.load({**values, "model": {"type": "convnet.net"}})
    assert str(caught.value) == (
        "the given mapping: n_channels = 2 must be 1; F = 1020 must be divisible by 8 for three strides"
    )
    right = Configuration.load({**values, "model": {"type": "convnet.net"}, "n_channels": 1, "F": 1024})
    assert right.size_multiple == 8


def test_finding_rules_loads_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from spleeter.configuration import Configuration\n"
        "print(Configuration.load('spleeter:5stems').size_multiple)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "64\n"
