"""Laws of a step: micro-batches change nothing, a loss that is NaN changes no weight."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spleeter.data.batches import Batch, SegmentSampler, training_batches, validation_batches
from spleeter.errors import TrainingError
from spleeter.model.functions import build
from spleeter.training.step import Trainer
from tests.data.songs import configuration, in_memory

CPU = torch.device("cpu")


def trainer(network: nn.Module | None = None, n_micro_batches: int = 1, **changes: Any) -> Trainer:
    torch.manual_seed(0)
    settings = configuration(**changes)
    return Trainer(
        network or build(settings, trust="tests.training.own_model"), settings, CPU, n_micro_batches=n_micro_batches
    )


def some_batches(n: int = 4, **changes: Any) -> list[Batch]:
    settings = configuration(**changes)
    return list(training_batches(SegmentSampler(in_memory(), settings), range(n), settings.batch_size))


def weights(trained: Trainer) -> Mapping[str, Tensor]:
    return copy.deepcopy(trained.network.state_dict())


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "Adadelta"])
@pytest.mark.parametrize("loss_type", ["L1_mask", "weighted_L1_mask"])
def test_the_loss_decreases(optimizer: str, loss_type: str) -> None:
    rate = {"Adam": 0.01, "SGD": 0.5, "Adadelta": 0.1}[optimizer]
    trained = trainer(optimizer=optimizer, loss_type=loss_type, learning_rate=rate)
    (batch,) = some_batches(1)
    losses = [sum(trained.step(batch)) for _ in range(25)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "model",
    [
        {"type": "unet.unet", "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4], "conv_activation": "ELU"}},
        {"type": "unet.softmax_unet", "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4]}},
        {"type": "unet.unet", "params": {"conv_n_filters": [16] * 6}},
        {
            "type": "unet.unet",
            "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4], "batch_statistics": True, "dropout": 0.3},
        },
        {"type": "blstm.blstm", "params": {"lstm_units": 8}},
        {"type": "tests.training.own_model.gains", "params": {"start": 0.1}},
    ],
    ids=["unet", "softmax_unet", "unet of sixteens", "unet with batch statistics and dropout", "blstm", "own"],
)
def test_every_model_learns(model: Mapping[str, Any]) -> None:
    trained = trainer(model=model)
    (batch,) = some_batches(1)
    losses = [sum(trained.step(batch)) for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.98 * np.mean(losses[:5])


def test_accumulated_gradients_of_micro_batches_make_the_same_step() -> None:
    whole, accumulated = trainer(optimizer="SGD"), trainer(optimizer="SGD", n_micro_batches=2)
    for batch in some_batches():
        np.testing.assert_allclose(whole.step(batch), accumulated.step(batch), rtol=1e-5)
    for key, weight in weights(whole).items():
        torch.testing.assert_close(accumulated.network.state_dict()[key], weight, rtol=1e-4, atol=1e-6)


def test_a_cpu_does_not_train_in_float16() -> None:
    settings = configuration()
    with pytest.raises(TrainingError, match="a CPU does not train in float16: choose bfloat16 or float32"):
        Trainer(build(settings), settings, CPU, torch.float16)


def test_a_batch_size_that_cannot_be_split_evenly_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"batch_size = 4 .* make it a multiple of 3"):
        trainer(n_micro_batches=3)


def test_a_loss_of_nan_changes_no_weight_and_names_the_songs() -> None:
    trained = trainer()
    good, bad = some_batches(2)
    trained.step(good)
    before = weights(trained)
    bad.stems[0, 1, 0, 300] = np.nan
    with pytest.raises(TrainingError, match=r"loss of step 2 is NaN or infinite.*train\.csv, line \d \(song \d\)"):
        trained.step(bad)
    for key, weight in before.items():
        torch.testing.assert_close(trained.network.state_dict()[key], weight, rtol=0, atol=0)


def test_running_statistics_are_updated_with_batch_statistics_only() -> None:
    def statistics(trained: Trainer) -> dict[str, Tensor]:
        return {key: value for key, value in weights(trained).items() if "running" in key}

    params = {"conv_n_filters": [2, 2, 3, 3, 4, 4]}
    fixed = trainer()
    following = trainer(model={"type": "unet.unet", "params": {**params, "batch_statistics": True}})
    (batch,) = some_batches(1)
    for trained, changes in ((fixed, False), (following, True)):
        before = statistics(trained)
        trained.step(batch)
        assert any((before[key] != value).any() for key, value in statistics(trained).items()) == changes


def test_dropout_depends_on_seed_and_step_alone() -> None:
    model = {"type": "unet.unet", "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4], "dropout": 0.5}}
    first, second = trainer(model=model), trainer(model=model)
    for batch in some_batches(2):
        torch.rand(3)  # whatever else is drawn
        losses = first.step(batch)
        assert losses == second.step(batch)


def test_validation_is_the_mean_over_all_segments_and_changes_no_weight() -> None:
    trained, settings = trainer(), configuration()
    sampler = SegmentSampler(in_memory(n_songs=3, n_excerpts=1), settings)
    before = weights(trained)
    one_by_one = [trained.validate([batch]) for batch in validation_batches(sampler, 1)]
    together = trained.validate(validation_batches(sampler, 2))
    assert together is not None
    np.testing.assert_allclose(together, np.mean(np.array(one_by_one), axis=0), rtol=1e-5)
    assert all(torch.equal(weight, before[key]) for key, weight in weights(trained).items())
    assert trained.validate(validation_batches(sampler, 2), lambda: False) is None


def test_bfloat16_learns_and_keeps_float32_weights() -> None:
    settings = configuration()
    torch.manual_seed(0)
    trained = Trainer(build(settings), settings, CPU, torch.bfloat16)
    exact = trainer()
    (batch,) = some_batches(1)
    np.testing.assert_allclose(trained.step(batch), exact.step(batch), rtol=0.02)
    losses = [sum(trained.step(batch)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in trained.network.parameters()} == {torch.float32}


def test_a_network_of_one_channel_learns() -> None:
    trained = trainer(n_channels=1)
    (batch,) = some_batches(1)
    mono = Batch(
        batch.mixtures.mean(1, keepdims=True), batch.stems.mean(2, keepdims=True), batch.segments, batch.songs
    )
    losses = [sum(trained.step(mono)) for _ in range(10)]
    assert losses[-1] < losses[0]
