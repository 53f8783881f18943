"""The names of the original's variables and the keys of the networks here are matched one to one."""

from collections import Counter
from pathlib import Path

import pytest

from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.model.tensorflow.bundle import TensorFlowBundle
from spleeter.model.tensorflow.names import Source, is_expendable, sources
from tests.model.golden import CASES


def golden_sources(case: Path) -> dict[str, Source]:
    configuration = Configuration.load(case / "config.json")
    named = sources(configuration.model.short_type, len(configuration.instrument_list))
    assert named is not None
    return named


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_weight_has_a_source(case: Path) -> None:
    keys = build(Configuration.load(case / "config.json")).state_dict().keys()
    assert golden_sources(case).keys() == {key for key in keys if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_variable_is_used_or_expendable(case: Path) -> None:
    uses = Counter(source.variable for source in golden_sources(case).values())
    variables = TensorFlowBundle(case / "model").names
    assert uses.keys() <= set(variables)
    for variable in variables:
        n_uses = 2 if "cu_dnnlstm" in variable and variable.endswith("/bias") else 1  # its two halves
        assert uses[variable] == (0 if is_expendable(variable, uses.keys()) else n_uses), variable


def test_layers_are_counted_on_from_instrument_to_instrument() -> None:
    named = sources("unet.unet", 3)
    assert named is not None
    variables = {key: source.variable for key, source in named.items()}
    assert variables["networks.0.encoder.0.conv.weight"] == "conv2d/kernel"
    assert variables["networks.0.head.bias"] == "conv2d_6/bias"
    assert variables["networks.1.encoder.0.conv.weight"] == "conv2d_7/kernel"
    assert variables["networks.2.decoder.5.conv.bias"] == "conv2d_transpose_17/bias"
    assert variables["networks.2.decoder.5.norm.running_var"] == "batch_normalization_35/moving_variance"
    assert variables["networks.1.encoder.1.norm.weight"] == "batch_normalization_12/gamma"


@pytest.mark.parametrize(
    ("variable", "expendable"),
    [
        ("global_step", True),
        ("beta1_power", True),
        ("conv2d/kernel/Adam_1", True),
        ("conv2d/kernel/Adadelta", True),
        ("batch_normalization_5/gamma", True),
        ("batch_normalization_17/moving_mean", True),
        ("batch_normalization_12/gamma", False),
        ("conv2d_99/kernel", False),
        ("conv2d_99/kernel/Adam", False),
        ("something", False),
    ],
)
def test_what_is_expendable(variable: str, expendable: bool) -> None:
    assert is_expendable(variable, {"conv2d/kernel"}) is expendable


def test_no_names_for_a_network_of_your_own() -> None:
    assert sources("mine.net", 2) is None
