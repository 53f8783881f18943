"""Networks prepared for inference estimate what the plain `nn.Module`, the oracle, estimates."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx, inference
from spleeter.backends.torch.amx_unet import fits_amx
from spleeter.backends.torch.inference import prepare_for_inference
from spleeter.model.functions import Builder, InputShape
from spleeter.model.functions.blstm import blstm
from spleeter.model.functions.unet import (
    MaskingNetwork,
    SameConvTranspose2d,
    UNet,
    UpsamplingLayer,
    softmax_unet,
    unet,
)
from tests.model.golden import snr

INSTRUMENTS = ("vocals", "drums", "other")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, params=["torch", "amx"])
def convolutions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with torch's convolutions and, where there is AMX, with those in split float32."""
    if request.param == "torch":
        monkeypatch.setattr(amx, "is_available", lambda: False)
    elif not amx.is_available():
        pytest.skip("needs a processor with AMX, and an installation with a C compiler")


both_unets = pytest.mark.parametrize("builder", [unet, softmax_unet])


def trained(builder: Builder, params: Mapping[str, Any] | None = None, n_channels: int = 2) -> nn.Module:
    """A network with random weights, biases and batch norm statistics, scales having both signs."""
    torch.manual_seed(3)
    filters = {"conv_n_filters": [16, 16, 32, 32, 48, 48]}
    network = builder(INSTRUMENTS, {**filters, **(params or {})}, InputShape(n_channels, 64, 128))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return network.eval()


def magnitudes(batch: int = 1, n_channels: int = 2) -> Tensor:
    return torch.rand((batch, n_channels, 64, 128), generator=torch.Generator().manual_seed(1)) * 10


def prepared(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    return prepare_for_inference(copy.deepcopy(network), CPU, dtype)


@both_unets
@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize(
    "params", [{}, {"conv_activation": "ELU", "deconv_activation": "LeakyReLU"}, {"conv_activation": "ReLU"}]
)
@torch.inference_mode()
def test_estimates_equal_the_networks(builder: Builder, params: Mapping[str, Any], n_channels: int) -> None:
    network = trained(builder, params, n_channels)
    for batch in (2, 1):
        mixture = magnitudes(batch, n_channels)
        estimates = prepared(network)(mixture)
        assert estimates.dtype == torch.float32
        assert snr(network(mixture).numpy(), estimates.numpy()) > 90


@torch.inference_mode()
def test_edges_are_padded_as_in_the_network() -> None:
    """Impulses at every edge and corner, where a wrong flip, padding or crop shows."""
    network = trained(unet)
    mixture = torch.zeros(1, 2, 64, 128)
    for t in (0, 31, 63):
        for f in (0, 77, 127):
            mixture[..., t, f] = 5
    torch.testing.assert_close(prepared(network)(mixture), network(mixture), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_memory_layout_does_not_matter() -> None:
    network, mixture = prepared(trained(unet)), magnitudes(3)
    expected = network(mixture)
    torch.testing.assert_close(network(mixture.contiguous(memory_format=torch.channels_last)), expected)
    torch.testing.assert_close(network(mixture.transpose(0, 1).contiguous().transpose(0, 1)), expected)


@torch.inference_mode()
def test_the_input_is_not_changed() -> None:
    mixture = magnitudes()
    before = mixture.clone()
    prepared(trained(unet))(mixture)
    assert torch.equal(mixture, before)


@pytest.mark.parametrize(("dtype", "least"), [(torch.bfloat16, 30), (torch.float16, 50)])
@pytest.mark.parametrize("activation", ["LeakyReLU", "ELU"])
@both_unets
@torch.inference_mode()
def test_estimates_in_half_precision_are_near(
    builder: Builder, activation: str, dtype: torch.dtype, least: float
) -> None:
    network = trained(builder, {"conv_activation": activation})
    estimates = prepared(network, dtype)(magnitudes())
    assert estimates.dtype == torch.float32
    assert snr(network(magnitudes()).numpy(), estimates.numpy()) > least


@torch.inference_mode()
def test_loud_audio_does_not_overflow_float16() -> None:
    estimates = prepared(trained(unet), torch.float16)(magnitudes() * 1e4)  # full scale is 2048 at most
    assert estimates.isfinite().all()


@torch.inference_mode()
def test_other_networks_are_not_rewritten() -> None:
    network = blstm(INSTRUMENTS, {"lstm_units": 3}, InputShape(2, 64, 128)).eval()
    expected = network(magnitudes())
    assert prepare_for_inference(network, CPU) is network
    half = prepared(network, torch.bfloat16)(magnitudes())
    assert half.dtype == torch.float32
    assert snr(expected.numpy(), half.numpy()) > 30


class TwiceAsLoud(UNet):
    def forward(self, magnitudes: Tensor) -> Tensor:
        return 2 * super().forward(magnitudes)


def with_another_head(unet_: UNet) -> UNet:
    unet_.head = nn.Conv2d(1, 2, kernel_size=3, padding=1)
    return unet_


def with_eight_channels_in_the_decoder(unet_: UNet) -> UNet:
    first, second, *_ = cast("list[UpsamplingLayer]", list(unet_.decoder))
    n_skip = second.conv.in_channels - first.conv.out_channels
    first.conv, first.norm = SameConvTranspose2d(first.conv.in_channels, 8), nn.BatchNorm2d(8)
    second.conv = SameConvTranspose2d(n_skip + 8, second.conv.out_channels)
    return unet_.eval()


def of_another_class(unet_: UNet) -> UNet:
    unet_.__class__ = TwiceAsLoud
    return unet_


@pytest.mark.parametrize("change", [with_another_head, of_another_class, with_eight_channels_in_the_decoder])
@torch.inference_mode()
def test_u_nets_that_are_assembled_otherwise(change: Callable[[UNet], UNet]) -> None:
    stems = [change(cast(UNet, stem)) for stem in trained(unet).get_submodule("networks").children()]
    network = MaskingNetwork(stems, torch.sigmoid).eval()
    torch.testing.assert_close(prepared(network)(magnitudes()), network(magnitudes()), rtol=1e-4, atol=1e-4)


def first_stem(network: nn.Module) -> UNet:
    return cast(UNet, next(network.get_submodule("networks").children()))


def with_prelu(unet_: UNet) -> UNet:
    cast(UpsamplingLayer, unet_.decoder[2]).activation = nn.PReLU()
    return unet_


def with_another_elu(unet_: UNet) -> UNet:
    cast(UpsamplingLayer, unet_.decoder[2]).activation = nn.ELU(alpha=0.5)
    return unet_


def test_amx_fits_u_nets_whose_channels_are_multiples_of_16_and_whose_activations_can_be_fused() -> None:
    assert fits_amx(first_stem(trained(unet)))
    assert fits_amx(first_stem(trained(unet, {"conv_activation": "ELU", "deconv_activation": "LeakyReLU"})))
    assert not fits_amx(first_stem(trained(unet, {"conv_n_filters": [16, 16, 16, 24, 16, 16]})))
    for change in (with_eight_channels_in_the_decoder, with_prelu, with_another_elu):
        assert not fits_amx(change(first_stem(trained(unet))))


@pytest.mark.parametrize(
    ("filters", "dtype", "n_components"),
    [
        ([16] * 6, torch.float32, 2),
        ([16] * 6, torch.bfloat16, 1),
        ([16] * 6, torch.float16, None),
        ([16, 16, 16, 24, 16, 16], torch.float32, None),
    ],
)
def test_amx_is_used_where_it_is_available_and_fits(
    monkeypatch: pytest.MonkeyPatch, filters: list[int], dtype: torch.dtype, n_components: int | None
) -> None:
    prepared_with: list[int] = []

    class Recorder(nn.Module):
        def __init__(self, unet: UNet, n_components: int) -> None:
            super().__init__()
            prepared_with.append(n_components)

    monkeypatch.setattr(inference, "AmxUNet", Recorder)
    for is_available in (False, True):
        monkeypatch.setattr(amx, "is_available", lambda here=is_available: here)
        prepared(trained(unet, {"conv_n_filters": filters}), dtype)
        assert prepared_with == ([n_components] * len(INSTRUMENTS) if is_available and n_components else [])


def test_nothing_is_left_to_be_trained() -> None:
    assert not list(prepare_for_inference(trained(unet), CPU).parameters())
