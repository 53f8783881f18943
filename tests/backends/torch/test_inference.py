"""A prepared network estimates what the trained one estimates."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx
from spleeter.backends.torch.inference import for_inference
from spleeter.backends.torch.split import SplitUNet
from spleeter.model.functions import Builder, InputShape
from spleeter.model.functions.blstm import blstm
from spleeter.model.functions.unet import MaskingNetwork, SameConvTranspose2d, UNet, Up, softmax_unet, unet
from tests.model.golden import snr

INSTRUMENTS = ("vocals", "drums", "other")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, params=["torch", "amx"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for torch's convolutions and for those of split float32."""
    if request.param == "torch":
        monkeypatch.setattr(amx, "is_available", lambda: False)
    elif not amx.is_available():
        pytest.skip("needs a processor with AMX, and an installation with a C compiler")


both_unets = pytest.mark.parametrize("builder", [unet, softmax_unet])


def trained(builder: Builder, params: Mapping[str, Any] | None = None, n_channels: int = 2) -> nn.Module:
    """A network with random weights, and norms whose scales have both signs."""
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
    return for_inference(copy.deepcopy(network), CPU, dtype)


@both_unets
@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize(
    "params", [{}, {"conv_activation": "ELU", "deconv_activation": "LeakyReLU"}, {"conv_activation": "ReLU"}]
)
@torch.inference_mode()
def test_unets(builder: Builder, params: Mapping[str, Any], n_channels: int) -> None:
    network = trained(builder, params, n_channels)
    for batch in (2, 1):
        mixture = magnitudes(batch, n_channels)
        estimates = prepared(network)(mixture)
        assert estimates.dtype == torch.float32
        assert snr(network(mixture).numpy(), estimates.numpy()) > 90


@torch.inference_mode()
def test_edges_are_padded_as_in_training() -> None:
    """A click at every edge and corner: whatever is turned round or cropped wrongly shows there."""
    network = trained(unet)
    mixture = torch.zeros(1, 2, 64, 128)
    for t in (0, 31, 63):
        for f in (0, 77, 127):
            mixture[..., t, f] = 5
    torch.testing.assert_close(prepared(network)(mixture), network(mixture), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_any_layout_of_memory_will_do() -> None:
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
def test_half_precision_is_near(builder: Builder, activation: str, dtype: torch.dtype, least: float) -> None:
    network = trained(builder, {"conv_activation": activation})
    estimates = prepared(network, dtype)(magnitudes())
    assert estimates.dtype == torch.float32
    assert snr(network(magnitudes()).numpy(), estimates.numpy()) > least


@torch.inference_mode()
def test_loud_sound_does_not_overflow_float16() -> None:
    estimates = prepared(trained(unet), torch.float16)(magnitudes() * 1e4)  # full scale is 2048 at most
    assert estimates.isfinite().all()


@torch.inference_mode()
def test_other_networks_are_taken_as_they_are() -> None:
    network = blstm(INSTRUMENTS, {"lstm_units": 3}, InputShape(2, 64, 128)).eval()
    expected = network(magnitudes())
    assert for_inference(network, CPU) is network
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
    first, second, *_ = cast("list[Up]", list(unet_.decoder))
    n_skipped = second.conv.in_channels - first.conv.out_channels
    first.conv, first.norm = SameConvTranspose2d(first.conv.in_channels, 8), nn.BatchNorm2d(8)
    second.conv = SameConvTranspose2d(n_skipped + 8, second.conv.out_channels)
    return unet_.eval()


def of_another_class(unet_: UNet) -> UNet:
    unet_.__class__ = TwiceAsLoud
    return unet_


@pytest.mark.parametrize("change", [with_another_head, of_another_class, with_eight_channels_in_the_decoder])
@torch.inference_mode()
def test_u_nets_put_together_otherwise(change: Callable[[UNet], UNet]) -> None:
    stems = [change(cast(UNet, stem)) for stem in trained(unet).get_submodule("networks").children()]
    network = MaskingNetwork(stems, torch.sigmoid).eval()
    torch.testing.assert_close(prepared(network)(magnitudes()), network(magnitudes()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", [{}, {"conv_n_filters": [16, 16, 16, 24, 16, 16]}])
def test_amx_takes_u_nets_whose_channels_come_in_sixteens(change: Mapping[str, Any]) -> None:
    (first, *_) = prepared(trained(unet, change)).get_submodule("networks").children()
    assert isinstance(first, SplitUNet) == (amx.is_available() and not change)


def test_nothing_is_left_to_be_trained() -> None:
    assert not list(for_inference(trained(unet), CPU).parameters())
