"""One U-Net for each instrument, from magnitudes to masks.

After Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017, with what the
released weights were trained with:

    encoder: six downsampling layers, each ending in a convolution with stride 2
    magnitudes ──► conv ───┬──► norm, activation, conv ───┬──► ... ──► norm, activation, conv ──┐
                           │ skip                         │ skip                                │ bottleneck
    logits ◄─ head ◄ up ◄ concat ◄───────────────── up ◄ concat ◄── ... ◄───────────────── up ◄─┘
    decoder: six upsampling layers, up: a transposed convolution with stride 2, activation, norm

Both the skips and the bottleneck carry the raw output of a convolution, before batch norm and activation. So a batch
norm belongs to the layer after it, and the deepest convolution has none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.errors import ModelError
from spleeter.model.functions import InputShape
from spleeter.model.rules.unet import DEFAULT_FILTERS, N_DOWNSAMPLINGS, SIZE_MULTIPLE

__all__ = [
    "DownsamplingLayer",
    "FixedBatchNorm",
    "MaskingNetwork",
    "SameConv2d",
    "SameConvTranspose2d",
    "UNet",
    "UpsamplingLayer",
    "softmax_unet",
    "unet",
]

_KERNEL_SIZE = 5
_NORM_EPSILON = 1e-3  # Keras's default, as is the momentum
_NORM_MOMENTUM = 0.01
_N_DROPOUTS = 3
"""Decoder layers, from the deepest on, that end in dropout, if there is any."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "ELU": nn.ELU,
    "LeakyReLU": lambda: nn.LeakyReLU(0.2),
}


def unet(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    """Build U-Nets whose masks, each between 0 and 1, are independent of each other.

    Args:
        instruments: names of the stems, one U-Net each.
        params: `conv_n_filters`, six numbers (16 to 512); `conv_activation` (LeakyReLU) and `deconv_activation`
            (ReLU), each ReLU, ELU or LeakyReLU; for training `batch_statistics` (false), whether batch norm uses
            the statistics of each batch, and the probability of `dropout` (0). The released weights were trained
            without both.
        shape: T and F must be divisible by 64.

    Raises:
        ModelError: if a param or the shape breaks a rule.
    """
    return MaskingNetwork(_unets(instruments, params, shape), torch.sigmoid)


def softmax_unet(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    """Build U-Nets whose masks add up to 1 over the instruments; everything else is as for `unet`."""
    return MaskingNetwork(_unets(instruments, params, shape), _softmax_over_stems)


def _softmax_over_stems(logits: Tensor) -> Tensor:
    return logits.softmax(dim=0)


class MaskingNetwork(nn.Module):
    """Networks that estimate mask logits, one for each stem, and the function from logits to masks.

    Args:
        networks: each (batch, channels, T, F) -> logits of the same shape.
        to_masks: logits (stems, batch, channels, T, F) -> masks of the same shape.
    """

    def __init__(self, networks: Iterable[nn.Module], to_masks: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.to_masks = to_masks

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F)."""
        logits = torch.stack([network(magnitudes) for network in self.networks])  # (stems, batch, channels, T, F)
        return self.to_masks(logits) * magnitudes


class UNet(nn.Module):
    """A U-Net: an encoder, a decoder of the same depth, and a head.

    Args:
        encoder: downsampling layers; the output of the last is the bottleneck.
        decoder: upsampling layers, deepest first. The first takes the bottleneck, each other one the skip of its size
            and the output of the layer before, concatenated along the channels.
        head: from the last decoder layer's output to the logits.
    """

    def __init__(
        self, encoder: Iterable["DownsamplingLayer"], decoder: Iterable["UpsamplingLayer"], head: nn.Conv2d
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        self.head = head

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> mask logits (batch, channels, T, F)."""
        x, skips = magnitudes, []
        for downsample in self.encoder:
            x = downsample(x)
            skips.append(x)
        x = skips.pop()  # the bottleneck
        for upsample in self.decoder:
            x = upsample(x)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        logits: Tensor = self.head(x)
        return logits


class DownsamplingLayer(nn.Module):
    """A layer of the encoder: norm and activation, which the first one lacks, then a convolution with stride 2."""

    def __init__(
        self, conv: "SameConv2d", norm: nn.BatchNorm2d | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.norm, self.activation, self.conv = norm, activation, conv

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""
        if self.norm is not None:
            x = self.norm(x)
        if self.activation is not None:
            x = self.activation(x)
        downsampled: Tensor = self.conv(x)
        return downsampled


class UpsamplingLayer(nn.Module):
    """A layer of the decoder: a transposed convolution with stride 2, activation, norm and, if asked for, dropout."""

    def __init__(
        self, conv: "SameConvTranspose2d", activation: nn.Module, norm: nn.BatchNorm2d, dropout: float
    ) -> None:
        super().__init__()
        self.conv, self.activation, self.norm = conv, activation, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F)."""
        upsampled: Tensor = self.dropout(self.norm(self.activation(self.conv(x))))
        return upsampled


class FixedBatchNorm(nn.BatchNorm2d):
    """Batch norm as a fixed affine map, during training too: only its scale and shift are trained."""

    def train(self, mode: bool = True) -> "FixedBatchNorm":
        """Stay in evaluation mode, whatever `mode` is: statistics of batches are neither used nor tracked."""
        super().train(False)
        return self


class SameConv2d(nn.Conv2d):
    """A downsampling convolution, stride 2, with TensorFlow's "same" padding of even sizes: 1 before, 2 after."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(n_inputs, n_outputs, _KERNEL_SIZE, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""
        return super().forward(nn.functional.pad(x, (1, 2, 1, 2)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """An upsampling transposed convolution, stride 2, cropped as TensorFlow's "same" does: 1 before, 2 after."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(n_inputs, n_outputs, _KERNEL_SIZE, stride=2, padding=1)  # padding crops 1 on both sides

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F)."""
        return super().forward(x, output_size)[..., :-1, :-1]


def _unets(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> list[UNet]:
    n_filters = params.get("conv_n_filters") or DEFAULT_FILTERS
    if len(n_filters) != N_DOWNSAMPLINGS:
        raise ModelError(f"conv_n_filters must hold {N_DOWNSAMPLINGS} numbers, not {len(n_filters)}: {n_filters}")
    if shape.T % SIZE_MULTIPLE or shape.F % SIZE_MULTIPLE:
        raise ModelError(
            f"a U-Net downsamples T and F six times: {shape.T} and {shape.F} must be divisible by {SIZE_MULTIPLE}"
        )
    conv_activation = _activation(params.get("conv_activation") or "LeakyReLU")
    deconv_activation = _activation(params.get("deconv_activation") or "ReLU")
    norm_type = nn.BatchNorm2d if params.get("batch_statistics") else FixedBatchNorm
    norm = partial(norm_type, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
    dropout = params.get("dropout") or 0.0
    networks = [
        _unet(shape.n_channels, n_filters, conv_activation, deconv_activation, norm, dropout) for _ in instruments
    ]
    return [network.apply(_initialise) for network in networks]


def _unet(
    n_channels: int,
    n_filters: Sequence[int],
    conv_activation: Callable[[], nn.Module],
    deconv_activation: Callable[[], nn.Module],
    norm: Callable[[int], nn.BatchNorm2d],
    dropout: float,
) -> UNet:
    encoder = [DownsamplingLayer(SameConv2d(n_channels, n_filters[0]))]
    encoder += [DownsamplingLayer(SameConv2d(n, m), norm(n), conv_activation()) for n, m in pairwise(n_filters)]
    n_outputs = [*reversed(n_filters[:-1]), 1]
    n_inputs = [n_filters[-1], *(2 * n for n in n_outputs[:-1])]  # twice: concatenated with a skip as wide
    decoder = [
        UpsamplingLayer(
            SameConvTranspose2d(n, m), deconv_activation(), norm(m), dropout if index < _N_DROPOUTS else 0.0
        )
        for index, (n, m) in enumerate(zip(n_inputs, n_outputs, strict=True))
    ]
    head = nn.Conv2d(n_outputs[-1], n_channels, kernel_size=4, dilation=2, padding=3)
    return UNet(encoder, decoder, head)


def _activation(name: str) -> Callable[[], nn.Module]:
    if name not in _ACTIVATIONS:
        raise ModelError(f"no activation {name!r}: a U-Net's are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _initialise(module: nn.Module) -> None:
    """Initialise a convolution as Keras does: its kernel by he_uniform, ±sqrt(6 / fan-in), its bias with zeros."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
