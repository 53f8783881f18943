"""Laws of the BLSTM; test_checkpoint.py compares its estimates with recordings of the original."""

import pytest
import torch
from torch import nn

from spleeter.model.functions import InputShape
from spleeter.model.functions.blstm import BLSTM, StemNetworks, blstm

INSTRUMENTS = ("vocals", "drums", "other")


def network(n_channels: int = 2, n_units: int = 5) -> StemNetworks:
    torch.manual_seed(0)
    built = blstm(INSTRUMENTS, {"lstm_units": n_units}, InputShape(n_channels, 16, 12)).eval()
    assert isinstance(built, StemNetworks)
    return built


def first_stem(networks: StemNetworks) -> BLSTM:
    stem = networks.networks[0]
    assert isinstance(stem, BLSTM)
    return stem


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("T", [1, 16, 33])
def test_stems_are_nonnegative_in_the_shape_of_the_mixture(n_channels: int, T: int) -> None:
    mixture = torch.rand(2, n_channels, T, 12) * 10
    stems = network(n_channels)(mixture)
    assert stems.shape == (3, *mixture.shape)
    assert torch.all(stems >= 0)
    assert not torch.allclose(stems[0], stems[1])


def test_segments_are_independent() -> None:
    mixture, net = torch.rand(3, 2, 16, 12), network()
    apart = torch.cat([net(segment[None]) for segment in mixture], dim=1)
    torch.testing.assert_close(net(mixture), apart)


def test_every_frame_depends_on_all_others() -> None:
    mixture = torch.rand(1, 2, 16, 12, requires_grad=True)
    for frame in (0, 15):
        (gradient,) = torch.autograd.grad(network()(mixture)[:, :, :, frame].sum(), mixture)
        assert gradient.abs().sum((0, 1, 3)).gt(0).all()


def test_outputs_are_ordered_by_bin_then_channel() -> None:
    """The dense layer's outputs 2 f and 2 f + 1 are bin f, left and right."""
    net = first_stem(network())
    nn.init.zeros_(net.dense.weight)
    with torch.no_grad():
        net.dense.bias.copy_(torch.arange(24))
    stem = net(torch.rand(1, 2, 16, 12))
    assert stem[0, 0, 3].tolist() == list(range(0, 24, 2))
    assert stem[0, 1, 3].tolist() == list(range(1, 24, 2))


def test_inputs_are_ordered_by_bin_then_channel() -> None:
    """Features of input 7 alone depend on bin 3, right, alone."""
    net = first_stem(network())
    for name, parameter in net.lstm.named_parameters():
        if name.startswith("weight_ih_l0"):
            with torch.no_grad():
                parameter[:, [i for i in range(24) if i != 7]] = 0  # all but bin 3, right
    mixture = torch.rand(1, 2, 16, 12)
    other = torch.rand(1, 2, 16, 12)
    other[:, 1, :, 3] = mixture[:, 1, :, 3]
    assert torch.equal(net(mixture), net(other))
    other[:, 1, :, 3] += 1
    assert not torch.equal(net(mixture), net(other))


def test_default_sizes_are_those_of_the_original() -> None:
    lstm = first_stem(blstm(["vocals"], {}, InputShape(2, 16, 12))).lstm  # type: ignore[arg-type]
    assert (lstm.input_size, lstm.hidden_size, lstm.num_layers, lstm.bidirectional) == (24, 250, 3, True)


def test_initial_weights_are_keras_defaults() -> None:
    lstm = first_stem(network(n_units=8)).lstm
    for name, parameter in lstm.named_parameters():
        if name.startswith("weight_ih"):
            bound = (6 / parameter.shape[1]) ** 0.5
            assert 0.8 * bound < parameter.abs().max() <= bound
        elif name.startswith("weight_hh"):
            torch.testing.assert_close(parameter.T @ parameter, torch.eye(8), atol=1e-5, rtol=0)
        else:
            forget = 1 if name.startswith("bias_ih") else 0
            assert parameter.tolist() == [0] * 8 + [forget] * 8 + [0] * 16
