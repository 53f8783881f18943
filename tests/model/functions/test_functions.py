"""Builders are looked up by the dotted name of model.type; whatever is wrong with one is a ModelError."""

import re
import sys
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
from spleeter.model.functions.unet import MaskingNetwork, softmax_unet

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


TRUST = ["echo_package.echo_module"]


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
def test_a_trusted_module_builds_by_its_full_path() -> None:
    network = build(configured("echo_package.echo_module.echo", {"depth": 3}), trust=TRUST)
    assert cast(Any, network).arguments == (("a", "b"), {"depth": 3}, InputShape(2, 64, 128))
    assert network(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)


@pytest.mark.parametrize("as_given", [lambda file: [file], lambda file: str(file), lambda file: file], ids=range(3))
def test_a_trusted_file_builds_by_its_name(on_path: Path, as_given: Any) -> None:
    file = on_path / "echo_package" / "echo_module.py"
    network = build(configured("echo_module.echo"), trust=as_given(file))
    assert network(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)
    assert "echo_module" not in sys.modules


@pytest.fixture
def installed(on_path: Path) -> Path:
    """An installed package that declares three networks."""
    about = on_path / "echo-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: echo\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[spleeter.models]\n"
        "their.echo = echo_package.echo_module:echo\n"
        "echo = echo_package.echo_module:echo\n"
        "their.answer = echo_package.echo_module:answer\n"
        "unet.unet = echo_package.echo_module:echo\n"
    )
    return on_path


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("model_type", ["their.echo", "echo"])
def test_an_installed_package_declares_networks(model_type: str) -> None:
    assert build(configured(model_type))(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)
    assert type(build(configured("unet.unet"))) is MaskingNetwork, "the built-in ones come first"
    with pytest.raises(ModelError, match=r"echo_package\.echo_module:answer is not callable"):
        build(configured("their.answer"))


def test_two_packages_that_declare_one_name_are_told_apart(installed: Path) -> None:
    other = installed / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[spleeter.models]\ntheir.echo = other:echo\n")
    with pytest.raises(
        ModelError, match=r"declared by several installed packages, as echo_package\..* and other:echo"
    ):
        build(configured("their.echo"))


def test_a_configuration_alone_runs_no_code(on_path: Path) -> None:
    """Neither its own module is imported, nor a package above it, nor anything that the built-in modules import."""
    (on_path / "trap.py").write_text(f"open({str(on_path / 'sprung')!r}, 'w')")
    (on_path / "echo_package" / "__init__.py").write_text((on_path / "trap.py").read_text())
    types = [
        *("trap.model", "echo_package.echo_module.echo", "echo_package.no_such_module.echo", "this.s"),
        *("pty.spawn", "os.system", "builtins.exec", "unet.torch.hub.load", "unet.nn.Identity", "unet.partial"),
        *("unet.pairwise", "unet._unets", "unet.InputShape", "spleeter.model.functions.os.system"),
        *("spleeter.model.functions.build", "spleeter.model.functions.import_module", "__init__.build", "__main__.x"),
        *("spleeter.model.functions.__init__.import_module", "spleeter.cli.main.entrypoint"),
    ]
    before = set(sys.modules)
    for model_type in types:
        configuration = configured(model_type, {"a": 1})
        with pytest.raises(ModelError, match="no model type"):
            build(configuration)
        with pytest.raises(ModelError, match="no model type"):
            build(configuration, trust=["my_model.py", "another.module"])
    assert not (on_path / "sprung").exists()
    assert {name.partition(".")[0] for name in set(sys.modules) - before} <= {"spleeter"}


def test_what_a_trusted_module_imports_is_not_trusted(on_path: Path) -> None:
    (on_path / "mine.py").write_text("from subprocess import run, Popen\nfrom os import system\n")
    for name in ("run", "Popen", "system"):
        with pytest.raises(ModelError, match=f"has '{name}' from (subprocess|posix|nt) only: trust that"):
            build(configured(f"mine.{name}"), trust=[on_path / "mine.py"])


def test_the_message_says_how_to_allow_a_module() -> None:
    with pytest.raises(ModelError) as caught:
        build(configured("my_package.my_module.model"))
    assert "--model-code my_module.py" in str(caught.value)
    assert "trust=['my_package.my_module']" in str(caught.value)


@pytest.mark.usefixtures("among_functions")
def test_own_model_among_the_functions() -> None:
    assert build(configured("echo_here.echo"))(torch.ones(1, 2, 64, 128)).shape == (2, 1, 2, 64, 128)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("unet.sofmax_unet", r"'unet\.sofmax_unet': the types of that module are unet\.unet, unet\.softmax_unet$"),
        ("unett.unet", r"did you mean 'unet\.unet'\?"),
        ("x.y.zzzzzzz", r"known types are blstm\.blstm, unet\.softmax_unet, unet\.unet"),
        ("unet.math.unet", r"no model type 'unet\.math\.unet'"),
        ("echo_package.no_such_module.echo", "no model type"),
        ("echo_package.echo_module.ecko", r"module echo_package\.echo_module has no 'ecko'"),
        ("echo_package.echo_module.answer", "answer is not callable: a builder is a function"),
        ("echo_package.echo_module.nothing", r"built a NoneType; it must return a torch\.nn\.Module"),
        ("echo_package.echo_module.failing", "cannot be built with params {}: KeyError: 'a key'"),
    ],
)
@pytest.mark.usefixtures("on_path")
def test_wrong_model_types(model_type: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        build(configured(model_type), trust=TRUST)
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
    for code in ("broken_module", str(on_path / "broken_module.py")):
        with pytest.raises(ModelError, match=f"importing {re.escape(code)} failed: .*{reason}") as caught:
            find_builder("broken_module.model", trust=[code])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", ["no_such_module", "folder/no_such_module.py"])
def test_trusted_code_that_is_not_there(code: str) -> None:
    with pytest.raises(ModelError, match=f"importing {code} failed: .*(No module named|No such file)"):
        find_builder("no_such_module.model", trust=[code])


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
