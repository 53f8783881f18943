"""One U-Net for each instrument, from magnitudes to masks.

After Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017, with what the
released weights were trained with:

    magnitudes ─► conv ─┬─► norm, activation, conv ─┬─► ... six halvings ... ─► conv ─┐
                        │ skip                      │ skip                            │ no norm, no activation
    mask logits ◄─ head ◄─ concat, up ◄──────────── concat, up ◄── ... six doublings ... ◄─ up

Both the skips and the bottleneck carry what a convolution gave, before its batch norm and activation. So the batch
norm belongs to the layer after, and the deepest convolution needs none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.errors import ModelError
from spleeter.model.functions import InputShape
from spleeter.model.rules.unet import N_DOWNSAMPLINGS, SIZE_MULTIPLE

_N_FILTERS = (16, 32, 64, 128, 256, 512)
_KERNEL_SIZE = 5
_NORM_EPSILON = 1e-3  # Keras's default, as is the momentum
_NORM_MOMENTUM = 0.01
_N_DROPOUTS = 3
"""How many of the decoder's layers, from the deepest on, end in a dropout, if there is any."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "ELU": nn.ELU,
    "LeakyReLU": lambda: nn.LeakyReLU(0.2),
}


def unet(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> nn.Module:
    """Build U-Nets whose masks, each between 0 and 1, are independent of each other.

    Args:
        instruments: one U-Net is made for each.
        params: `conv_n_filters`, six numbers (16 to 512); `conv_activation` (LeakyReLU) and `deconv_activation`
            (ReLU), each ReLU, ELU or LeakyReLU; for training `batch_statistics` (false), whether batch norm follows
            the batches, and `dropout` (0), the probability of it. The released weights were trained without both.
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
    """Networks that estimate mask logits, one for each stem, and how logits become masks.

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
        logits = torch.stack([network(magnitudes) for network in self.networks])
        return self.to_masks(logits) * magnitudes


class UNet(nn.Module):
    """An encoder, a decoder as deep, and a head.

    Args:
        encoder: layers that each halve the last two axes.
        decoder: layers that each double them, deepest first. The first takes the encoder's last output, each other
            one takes the output of the encoder's layer of its size and the output of the layer before, concatenated.
        head: from the last layer's output to the logits.
    """

    def __init__(self, encoder: Iterable["Down"], decoder: Iterable["Up"], head: nn.Conv2d) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        self.head = head

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> mask logits (batch, channels, T, F)."""
        x, skips = magnitudes, []
        for down in self.encoder:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up in self.decoder:
            x = up(x)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        logits: Tensor = self.head(x)
        return logits


class Down(nn.Module):
    """A layer of the encoder: norm and activation, which the first one lacks, then a convolution."""

    def __init__(
        self, conv: "SameConv2d", norm: nn.BatchNorm2d | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.norm, self.activation, self.conv = norm, activation, conv

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""
        for before in (self.norm, self.activation):
            x = x if before is None else before(x)
        halved: Tensor = self.conv(x)
        return halved


class Up(nn.Module):
    """A layer of the decoder: a transposed convolution, activation, norm, and perhaps a dropout for training."""

    def __init__(
        self, conv: "SameConvTranspose2d", activation: nn.Module, norm: nn.BatchNorm2d, dropout: float
    ) -> None:
        super().__init__()
        self.conv, self.activation, self.norm = conv, activation, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F)."""
        doubled: Tensor = self.dropout(self.norm(self.activation(self.conv(x))))
        return doubled


class FixedNorm(nn.BatchNorm2d):
    """Batch norm as a fixed affine map, during training too: only its scale and shift are trained."""

    def train(self, mode: bool = True) -> "FixedNorm":
        """Stay in evaluation mode, whatever `mode` is: the statistics are neither taken nor followed."""
        super().train(False)
        return self


class SameConv2d(nn.Conv2d):
    """A strided convolution that halves even sizes as TensorFlow's "same" padding does: 1 zero before, 2 after."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(n_inputs, n_outputs, _KERNEL_SIZE, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""
        return super().forward(nn.functional.pad(x, (1, 2, 1, 2)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that doubles sizes as TensorFlow's "same" does: 1 is cropped before, 2 after."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__(n_inputs, n_outputs, _KERNEL_SIZE, stride=2, padding=1)  # padding crops 1 on both sides

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F)."""
        return super().forward(x, output_size)[..., :-1, :-1]


def _unets(instruments: Sequence[str], params: Mapping[str, Any], shape: InputShape) -> list[UNet]:
    n_filters = params.get("conv_n_filters") or _N_FILTERS
    if len(n_filters) != N_DOWNSAMPLINGS:
        raise ModelError(f"conv_n_filters must hold {N_DOWNSAMPLINGS} numbers, not {len(n_filters)}: {n_filters}")
    if shape.T % SIZE_MULTIPLE or shape.F % SIZE_MULTIPLE:
        raise ModelError(
            f"a U-Net halves T and F six times: {shape.T} and {shape.F} must be divisible by {SIZE_MULTIPLE}"
        )
    conv_activation = _activation(params.get("conv_activation") or "LeakyReLU")
    deconv_activation = _activation(params.get("deconv_activation") or "ReLU")
    kind = nn.BatchNorm2d if params.get("batch_statistics") else FixedNorm
    norm = partial(kind, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
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
    encoder = [Down(SameConv2d(n_channels, n_filters[0]))]
    encoder += [Down(SameConv2d(n, m), norm(n), conv_activation()) for n, m in pairwise(n_filters)]
    n_outputs = [*reversed(n_filters[:-1]), 1]
    n_inputs = [n_filters[-1], *(2 * n for n in n_outputs[:-1])]  # twice: a skip of the same size is put beside
    decoder = [
        Up(SameConvTranspose2d(n, m), deconv_activation(), norm(m), dropout if depth < _N_DROPOUTS else 0.0)
        for depth, (n, m) in enumerate(zip(n_inputs, n_outputs, strict=True))
    ]
    head = nn.Conv2d(n_outputs[-1], n_channels, kernel_size=4, dilation=2, padding=3)
    return UNet(encoder, decoder, head)


def _activation(name: str) -> Callable[[], nn.Module]:
    if name not in _ACTIVATIONS:
        raise ModelError(f"no activation {name!r}: a U-Net's are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _initialise(module: nn.Module) -> None:
    """Draw a convolution's kernel as Keras's he_uniform does, ±sqrt(6 / fan-in), and set its bias to zero."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
