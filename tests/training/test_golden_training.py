"""Five steps of the original's training, recorded: losses and weights."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spleeter.backends.torch.training import prepare_for_training
from spleeter.backends.torch.weights import load_network
from spleeter.configuration import Configuration
from spleeter.model.tensorflow.names import sources
from spleeter.training.losses import stem_losses
from spleeter.training.optimizers import build_optimizer


@pytest.mark.parametrize(
    ("form", "tolerance"),
    [(lambda network: network, 5e-6), (prepare_for_training, 1e-5)],
    ids=["as written", "as trained"],
)
def test_losses_and_weights_are_the_originals(
    shared: Path, form: Callable[[nn.Module], nn.Module], tolerance: float
) -> None:
    golden = shared / "golden" / "train-unet-adam"
    configuration = Configuration.load(golden / "config.json")
    network = load_network(Path(configuration.model_dir), configuration).train()
    batch = {key: torch.tensor(value).permute(0, 3, 1, 2) for key, value in np.load(golden / "batch.npz").items()}
    targets = torch.stack([batch[name] for name in configuration.instrument_list])
    optimizer = build_optimizer(configuration.optimizer, network.parameters(), configuration.learning_rate)
    recorded = json.loads((golden / "expected_losses.json").read_text())

    losses = []
    for _ in range(recorded["steps"]):
        optimizer.zero_grad()
        loss = stem_losses(form(network)(batch["mix"]), targets, configuration.loss_type).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    losses.append(stem_losses(form(network)(batch["mix"]), targets, configuration.loss_type).sum().item())
    np.testing.assert_allclose(losses, [*recorded["losses"], recorded["final_loss"]], rtol=1e-6)

    expected = np.load(golden / "expected_weights.npz")
    named = sources(configuration.model.short_type, len(configuration.instrument_list))
    assert named is not None
    for key, source in named.items():
        weight = source.transform(expected[source.variable.replace("/", "|")])
        np.testing.assert_allclose(network.state_dict()[key].numpy(), weight, atol=tolerance, err_msg=key)
