"""Builders are looked up by the dotted name of model.type; whatever is wrong with one is a ModelError."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from spleeter.configuration import Configuration
from spleeter.errors import ModelError
from spleeter.model import functions
from spleeter.model.functions import InputShape, build, find_builder
from spleeter.model.functions.unet import softmax_unet

ECHO = """
import torch

class Echo(torch.nn.Module):
    def __init__(self, *arguments):
        super().__init__()
        self.arguments = arguments
    def forward(self, magnitudes):
        return torch.stack([magnitudes / len(self.arguments[0])] * len(self.arguments[0]))

def echo(instruments, params, shape): return Echo(instruments, params, shape)
def nothing(instruments, params, shape): return None
def failing(instruments, params, shape): return {}["a key"]
answer = 42
"""


def configured(model_type: str, params: Mapping[str, Any] | None = None) -> Configuration:
    return Configuration(
        model_dir="model", T=64, F=128, instrument_list=("a", "b"), model={"type": model_type, "params": params or {}}
    )


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path with a package of one module."""
    package = tmp_path / "echo_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "echo_module.py").write_text(ECHO)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def among_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules count as modules of spleeter.model.functions."""
    (tmp_path / "echo_here.py").write_text(ECHO)
    monkeypatch.setattr(functions, "__path__", [*functions.__path__, str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize("model_type", ["unet.unet", "unet.softmax_unet", "blstm.blstm"])
def test_known_types_map_magnitudes_to_stems(model_type: str) -> None:
    magnitudes = torch.rand(1, 2, 64, 128)
    before = magnitudes.clone()
    stems = build(configured(model_type)).eval()(magnitudes)
    assert stems.shape == (2, 1, 2, 64, 128)
    assert stems.dtype == torch.float32
    assert torch.equal(magnitudes, before)


def test_full_path_of_a_known_type() -> None:
    assert find_builder("spleeter.model.functions.unet.softmax_unet") is softmax_unet


@pytest.mark.usefixtures("on_path")
def test_own_model_by_full_path() -> None:
    network = build(configured("echo_package.echo_module.echo", {"depth": 3}))
    assert cast(Any, network).arguments == (("a", "b"), {"depth": 3}, InputShape(2, 64, 128))
    assert network(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)


@pytest.mark.usefixtures("among_functions")
def test_own_model_among_the_functions() -> None:
    assert build(configured("echo_here.echo"))(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        (
            "unet.sofmax_unet",
            r"module spleeter\.model\.functions\.unet has no 'sofmax_unet'; did you mean 'unet\.soft",
        ),
        ("unett.unet", r"tried the modules spleeter\.model\.functions\.unett and unett; did you mean 'unet\.unet'"),
        ("x.y.zzzzzzz", r"known types are blstm\.blstm, unet\.softmax_unet, unet\.unet"),
        ("unet.math.unet", r"no model type 'unet\.math\.unet'"),
        ("echo_package.no_such_module.echo", "no model type"),
        ("echo_package.echo_module.answer", "answer is not callable: a builder is a function"),
        ("echo_package.echo_module.nothing", r"built a NoneType; it must return a torch\.nn\.Module"),
        ("echo_package.echo_module.failing", "cannot be built with params {}: KeyError: 'a key'"),
    ],
)
@pytest.mark.usefixtures("on_path")
def test_wrong_model_types(model_type: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        build(configured(model_type))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_type", ["", "unet", "."])
def test_type_without_a_module(model_type: str) -> None:
    with pytest.raises(ModelError, match="no model type"):
        find_builder(model_type)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
        ("this is no Python", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_module_that_cannot_be_imported(on_path: Path, source: str, reason: str) -> None:
    (on_path / "broken_module.py").write_text(source)
    with pytest.raises(ModelError, match=f"importing the module broken_module failed: .*{reason}"):
        find_builder("broken_module.model")


def test_a_module_that_cannot_be_imported_does_not_hide_the_known_types(among_functions: Path) -> None:
    (among_functions / "broken_neighbour.py").write_text("1 / 0")
    with pytest.raises(ModelError, match=r"known types are blstm\.blstm, echo_here\.echo"):
        find_builder("zzz.zzz")


def test_errors_of_the_known_builders_are_not_wrapped() -> None:
    """With a configuration that was not validated."""
    model = SimpleNamespace(type="unet.unet", params={"conv_activation": "GELU"})
    configuration = SimpleNamespace(model=model, instrument_list=("a",), n_channels=2, T=64, F=64)
    with pytest.raises(ModelError, match=r"^no activation 'GELU'"):
        build(cast(Configuration, configuration))


def test_each_build_has_its_own_parameters() -> None:
    first, second = (build(configured("unet.unet")) for _ in range(2))
    assert isinstance(first, nn.Module)
    assert {id(p) for p in first.parameters()}.isdisjoint({id(p) for p in second.parameters()})
