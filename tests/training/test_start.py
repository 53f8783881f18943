"""The first weights of a training, and the folders in which it must not write."""

from pathlib import Path

import pytest
import torch

from spleeter.backends.torch.weights import load_network, save_network
from spleeter.configuration import Configuration
from spleeter.errors import ModelError, TrainingError
from spleeter.model.functions import build
from spleeter.training.start import check_folder, pretrained_network, random_network
from tests.conftest import TINY
from tests.data.songs import configuration


def test_random_weights_depend_on_the_seed() -> None:
    first, again, other = (random_network(configuration(random_seed=seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_pretrained_weights_are_those_of_the_model(tiny_model: Path) -> None:
    params = {**TINY["model"]["params"], "dropout": 0.5, "batch_statistics": True}  # type: ignore[index]
    tuned = Configuration.load({**TINY, "model": {"type": "unet.unet", "params": params}})
    started = pretrained_network(str(tiny_model), tuned).state_dict()
    source = load_network(tiny_model, Configuration.load(tiny_model)).state_dict()
    assert all(torch.equal(started[key], source[key]) for key in source)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"instrument_list": ["vocals", "rest", "other"]}, "a training starts from a model of the same instruments"),
        ({"model": {"type": "unet.unet"}}, "do not fit the configured network .* use its model and params"),
        ({"model": {"type": "blstm.blstm"}}, "do not fit the configured network"),
    ],
)
def test_a_model_of_another_network_is_refused(tiny_model: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TrainingError, match=complaint):
        pretrained_network(str(tiny_model), Configuration.load({**TINY, **changes}))


def test_a_network_of_ones_own_is_trusted_or_not_built(tmp_path: Path) -> None:
    settings = configuration(model={"type": "tests.training.own_model.gains", "params": {"start": 0.1}})
    trust = ["tests.training.own_model"]
    save_network(tmp_path, random_network(settings, trust), settings)
    assert (pretrained_network(str(tmp_path), settings, trust).get_parameter("gains") == 0.1).all()
    with pytest.raises(ModelError, match="--model-code"):
        random_network(settings)
    with pytest.raises(ModelError, match="--model-code"):
        pretrained_network(str(tmp_path), settings)


def test_a_model_from_elsewhere_is_not_overwritten(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", None)
    check_folder(tmp_path, None)
    settings = configuration()
    save_network(tmp_path, build(settings), settings)
    with pytest.raises(TrainingError, match=r"was not trained here.*--from"):
        check_folder(tmp_path, None)
