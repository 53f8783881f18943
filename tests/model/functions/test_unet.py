"""Laws of the U-Nets; test_checkpoint.py compares their estimates with recordings of the original."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor, nn

from spleeter.errors import ModelError
from spleeter.model.functions import Builder, InputShape
from spleeter.model.functions.unet import SameConv2d, SameConvTranspose2d, softmax_unet, unet

INSTRUMENTS = ("vocals", "drums", "other")
FILTERS = (2, 3, 4, 5, 6, 7)
both_unets = pytest.mark.parametrize("builder", [unet, softmax_unet])


def network(builder: Builder, params: Mapping[str, Any] | None = None, n_channels: int = 2) -> nn.Module:
    torch.manual_seed(0)
    built = builder(INSTRUMENTS, {"conv_n_filters": FILTERS, **(params or {})}, InputShape(n_channels, 64, 128))
    return built.eval()


def magnitudes(batch: int = 1, n_channels: int = 2) -> Tensor:
    return torch.rand((batch, n_channels, 64, 128), generator=torch.Generator().manual_seed(1)) * 10


@both_unets
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_stems_are_between_zero_and_the_mixture(builder: Builder, n_channels: int) -> None:
    mixture = magnitudes(2, n_channels)
    stems = network(builder, n_channels=n_channels)(mixture)
    assert stems.shape == (3, *mixture.shape)
    assert torch.all((stems >= 0) & (stems <= mixture))
    assert not torch.allclose(stems[0], stems[1])


def test_softmax_stems_sum_to_the_mixture() -> None:
    mixture = magnitudes()
    torch.testing.assert_close(network(softmax_unet)(mixture).sum(0), mixture)


def test_the_two_differ_in_the_function_from_logits_to_masks() -> None:
    plain, shared = network(unet), network(softmax_unet)
    mixture = magnitudes() / 100  # so small that no sigmoid is rounded to 1
    masks = plain(mixture) / mixture
    expected = (masks / (1 - masks)).log().softmax(0)  # the inverse of the sigmoid, then softmax
    torch.testing.assert_close(shared(mixture) / mixture, expected, rtol=1e-3, atol=1e-5)


@both_unets
def test_silence_stays_silent(builder: Builder) -> None:
    assert not network(builder)(torch.zeros(1, 2, 64, 128)).any()


@both_unets
def test_segments_are_independent(builder: Builder) -> None:
    mixture, net = magnitudes(3), network(builder)
    apart = torch.cat([net(segment[None]) for segment in mixture], dim=1)
    torch.testing.assert_close(net(mixture), apart)


def test_each_stem_has_a_network_of_its_own() -> None:
    net = network(unet)
    before = net(magnitudes())
    with torch.no_grad():
        net.get_parameter("networks.1.head.bias").add_(1)
    changed = (net(magnitudes()) != before).flatten(1).any(1)
    assert changed.tolist() == [False, True, False]


@both_unets
def test_memory_layout_does_not_matter(builder: Builder) -> None:
    net, mixture = network(builder), magnitudes(2)
    expected = net(mixture)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(net(mixture), expected)
    torch.testing.assert_close(net(mixture.to(memory_format=torch.channels_last)), expected)


@both_unets
def test_every_parameter_is_used(builder: Builder) -> None:
    net = network(builder, {"conv_activation": "ELU", "deconv_activation": "ELU"})
    net(magnitudes(2)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_params_choose_the_activations() -> None:
    def kinds(params: Mapping[str, Any]) -> list[str]:
        return [type(m).__name__ for m in network(unet, params).modules() if "LU" in type(m).__name__]

    n_stems = len(INSTRUMENTS)
    assert kinds({}) == (["LeakyReLU"] * 5 + ["ReLU"] * 6) * n_stems
    chosen = kinds({"conv_activation": "ELU", "deconv_activation": "LeakyReLU"})
    assert chosen == (["ELU"] * 5 + ["LeakyReLU"] * 6) * n_stems


def test_the_default_network_has_as_many_weights_as_a_released_one() -> None:
    built = unet(["vocals"], {}, InputShape(2, 512, 1024))
    # The released checkpoint of two stems has 78,614,080 bytes, 8 of them a counter. The output of its sixth batch
    # norm, 4 × 512 values, is not used.
    n_released = (78_614_080 - 8) // 4 // 2
    n_built = sum(tensor.numel() for key, tensor in built.state_dict().items() if "num_batches" not in key)
    assert n_built == n_released - 4 * 512


@pytest.mark.parametrize("size", [4, 6, 10])
def test_same_convolution_equals_scipys_correlation(size: int) -> None:
    conv = SameConv2d(2, 3)
    x = torch.randn(1, 2, size, 2 * size)
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 2), (1, 2)))
    kernels = conv.weight.detach().numpy()
    maps = [sum(signal.correlate2d(a, k, "valid") for a, k in zip(padded, kernel, strict=True)) for kernel in kernels]
    assert conv.bias is not None
    expected = np.stack(maps)[:, ::2, ::2] + conv.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(conv(x)[0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_transposed_convolution_is_the_adjoint() -> None:
    """As TensorFlow defines it: with the same kernel, <conv(x), y> = <x, transposed(y)> for all x and y."""
    conv, transposed = SameConv2d(2, 3).double(), SameConvTranspose2d(3, 2).double()
    assert conv.bias is not None
    assert transposed.bias is not None
    nn.init.zeros_(conv.bias)
    nn.init.zeros_(transposed.bias)
    transposed.weight = conv.weight
    x, y = torch.randn(1, 2, 8, 12).double(), torch.randn(1, 3, 4, 6).double()
    torch.testing.assert_close((conv(x) * y).sum(), (x * transposed(y)).sum())


def test_initial_weights_are_he_uniform() -> None:
    """Keras's he_uniform: uniform within ±sqrt(6 / fan-in), where a transposed kernel's fan-in counts its outputs."""
    for module in network(unet).modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is not None
            bound = np.sqrt(6 / module.weight[0].numel())
            largest = module.weight.abs().max().item()
            assert not module.bias.any()
            assert (0.8 if module.weight.numel() > 30 else 0) * bound < largest <= bound


@pytest.mark.parametrize(
    ("params", "shape", "reason"),
    [
        ({"conv_activation": "GELU"}, (64, 64), "'GELU': .*ReLU, ELU, LeakyReLU"),
        ({"deconv_activation": "relu"}, (64, 64), "'relu'"),
        ({"conv_n_filters": [1, 2, 3]}, (64, 64), "must hold 6 numbers, not 3"),
        ({}, (32, 64), "32 and 64 must be divisible by 64"),
        ({}, (64, 100), "64 and 100 must be divisible by 64"),
    ],
)
@both_unets
def test_broken_rules(builder: Builder, params: Mapping[str, Any], shape: tuple[int, int], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        builder(["vocals"], params, InputShape(2, *shape))
