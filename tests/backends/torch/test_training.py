"""U-Nets prepared for training: estimates and gradients equal those of the network itself, the oracle."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx
from spleeter.backends.torch.convolution import channels_last
from spleeter.backends.torch.training import prepare_for_training
from spleeter.model.functions import InputShape
from spleeter.model.functions.blstm import blstm
from spleeter.model.functions.unet import softmax_unet, unet
from tests.model.golden import snr

INSTRUMENTS = ("vocals", "other")
SHAPE = InputShape(2, 64, 128)


def network(builder: Any = unet, **params: Any) -> nn.Module:
    """A network in double precision with random batch norm statistics."""
    torch.manual_seed(0)
    built: nn.Module = builder(INSTRUMENTS, {"conv_n_filters": (4, 6, 8, 10, 12, 14), **params}, SHAPE).double()
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return channels_last(built.train())


def estimates_and_gradients(prepared: nn.Module, owner: nn.Module) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Estimates, and the gradients of a weighted sum of all of them for the owner's parameters."""
    magnitudes = torch.rand(2, 2, 64, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    owner.zero_grad()
    estimates = prepared(magnitudes.to(next(owner.parameters()).dtype))
    weights = torch.linspace(-1, 1, estimates.numel(), dtype=torch.float64).reshape(estimates.shape)
    (estimates * weights).sum().backward()
    gradients = {name: p.grad.clone() for name, p in owner.named_parameters() if p.grad is not None}
    return estimates.detach(), gradients


@pytest.mark.parametrize("builder", [unet, softmax_unet])
@pytest.mark.parametrize("activation", ["ReLU", "ELU", "LeakyReLU"])
def test_estimates_and_gradients_equal_the_networks(builder: Any, activation: str) -> None:
    built = network(builder, conv_activation=activation, deconv_activation=activation)
    prepared = prepare_for_training(built)
    assert prepared is not built
    expected, expected_gradients = estimates_and_gradients(built, built)
    estimates, gradients = estimates_and_gradients(prepared, built)
    torch.testing.assert_close(estimates, expected, rtol=1e-10, atol=1e-12)
    assert gradients.keys() == expected_gradients.keys() == dict(built.named_parameters()).keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.skipif(not amx.is_available(), reason="needs AMX")
@pytest.mark.parametrize("activation", ["ReLU", "ELU", "LeakyReLU"])
def test_gradients_in_split_float32_are_near_those_in_double_precision(activation: str) -> None:
    params = {"conv_activation": activation, "deconv_activation": activation}
    built = network(conv_n_filters=(16, 32, 16, 32, 48, 16), **params)
    expected, expected_gradients = estimates_and_gradients(built, built)
    single = copy.deepcopy(built).float()
    estimates, gradients = estimates_and_gradients(prepare_for_training(single), single)
    assert snr(expected.numpy(), estimates.numpy()) > 110
    for name, gradient in gradients.items():
        assert snr(expected_gradients[name].numpy(), gradient.numpy()) > 70, name


def test_frozen_parameters_get_no_gradient() -> None:
    built = network(conv_n_filters=(16,) * 6).float()
    frozen = {name for name in dict(built.named_parameters()) if "encoder" in name or name.endswith("conv.bias")}
    for name, parameter in built.named_parameters():
        parameter.requires_grad_(name not in frozen)
    prepare_for_training(built)(torch.rand(1, 2, 64, 128)).sum().backward()
    without = {name for name, parameter in built.named_parameters() if parameter.grad is None}
    assert without == frozen


def test_under_autocast_to_bfloat16_the_error_is_no_larger_than_the_networks() -> None:
    built = network().float()
    magnitudes = torch.rand(2, 2, 64, 128, generator=torch.Generator().manual_seed(1))
    exact = built(magnitudes).detach().numpy()
    with torch.autocast("cpu", torch.bfloat16):
        estimates, plain = prepare_for_training(built)(magnitudes), built(magnitudes)
    assert snr(exact, estimates.detach().float().numpy()) > snr(exact, plain.detach().float().numpy()) - 2
    estimates.float().sum().backward()
    assert {parameter.grad.dtype for parameter in built.parameters() if parameter.grad is not None} == {torch.float32}


@pytest.mark.parametrize("params", [{"batch_statistics": True}, {"dropout": 0.5}])
def test_networks_with_batch_statistics_or_dropout_are_returned_as_they_are(params: dict[str, Any]) -> None:
    built = network(**params)
    assert prepare_for_training(built) is built


def test_other_networks_are_returned_as_they_are() -> None:
    built = blstm(INSTRUMENTS, {"lstm_units": 4}, SHAPE)
    assert prepare_for_training(built) is built
