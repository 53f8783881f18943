"""The seam: which device and which backend are opened, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spleeter.backends import base
from spleeter.backends.base import HostDevice, Model, check_precision, open_backend, open_device
from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError, DeviceError
from tests.model.golden import CASES

MODEL = Model(CASES[0], Configuration.load(CASES[0] / "config.json"))


def test_the_cpu_is_opened_without_asking_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_MODULES", {"none": "a.module.that.is.not.there"})
    assert str(open_device("cpu")) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU here")
def test_auto_is_the_cpu_where_there_is_nothing_better() -> None:
    assert open_device("auto").kind == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is available here")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="'cuda' is not available on this machine; choose auto or cpu"):
        open_device("cuda")


@pytest.mark.parametrize("name", ["tpu", "cuda:first", "cuda:-1", ""])
@pytest.mark.parametrize("backends", [base._MODULES, {}], ids=["torch", "no backend"])
def test_an_unknown_device_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, backends: dict[str, str]) -> None:
    monkeypatch.setattr(base, "_MODULES", backends)
    with pytest.raises(DeviceError, match=f"unknown device '{name}': choose auto, cpu, cuda, cuda:N or mps"):
        open_device(name)


def test_a_device_whose_backend_is_not_installed_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    assert open_device("auto").kind == "cpu"
    with pytest.raises(DeviceError, match=r"'cuda' is not available here .torch is not installed.; choose"):
        open_device("cuda")


def test_precisions() -> None:
    for name in ("float32", "bfloat16", "float16"):
        check_precision(name)
    with pytest.raises(DeviceError, match="unknown precision 'half': choose float32, bfloat16, float16"):
        check_precision("half")


def test_the_host_device_neither_copies_nor_waits() -> None:
    device, array = HostDevice(), np.zeros(3, np.float32)
    assert device.put(array) is array
    (fetch,) = device.fetch([array])
    assert fetch() is array


def test_a_backend_is_opened_by_name_or_as_the_first_there_is() -> None:
    magnitudes = np.random.default_rng(0).random((1, 2, MODEL.configuration.T, MODEL.configuration.F), np.float32)
    backends = [open_backend(MODEL, HostDevice(), backend=name) for name in (None, "torch")]
    first, second = (backend.estimate(magnitudes) for backend in backends)
    assert first.shape == (len(MODEL.configuration.instrument_list), *magnitudes.shape)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)


def test_a_backend_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="unknown backend 'abacus'; there are torch"):
        open_backend(MODEL, HostDevice(), backend="abacus")


def test_a_backend_that_is_not_installed_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="no backend to compute with: torch is not installed"):
        open_backend(MODEL, HostDevice())


def test_weights_that_are_not_there_are_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights in"):
        open_backend(Model(tmp_path, MODEL.configuration), HostDevice())
