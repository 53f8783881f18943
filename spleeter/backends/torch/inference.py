"""Networks in the form that separates fastest: whatever does not depend on the song is computed beforehand.

A prepared U-Net estimates what the network it is made from estimates, up to rounding. Four things differ:

    norms        are the affine maps that batch norms become once their statistics are fixed
    orientation  works on spectra turned round in time and frequency, with its kernels turned round too: there
                 TensorFlow's "same" padding, 1 before and 2 after, is torch's own, so nothing is padded or cropped
                 by copying
    tail         the last doubling, which has one output, and the head treat blocks of 4 × 4 bins as 16 channels,
                 which keep the processor's vectors full
    kernels      are laid out as the processor wants them, once (convolution.py)

On a processor with AMX, the convolutions are those of split.py. Any other network is taken as it is.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx
from spleeter.backends.torch.convolution import Convolution, channels_last, in_place
from spleeter.backends.torch.forms import BLOCK, affine, doubling_by_blocks, head_by_blocks, is_usual
from spleeter.backends.torch.split import SplitUNet, is_splittable
from spleeter.model.functions.unet import Down, MaskingNetwork, UNet, Up

_N_PARTS = {torch.float32: 2, torch.bfloat16: 1}
"""What numbers are taken apart into on AMX, to compute in such a type."""

_FLOAT16_UNIT = 2.0**-8
"""What float16, which ends at 65504, counts in: sound 200 times beyond full scale then overflows in no layer."""


def for_inference(network: nn.Module, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Prepare a trained network for separation. The network itself is used up: it may have lost its parts.

    Args:
        network: magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F), float32.
        device: where it is to work.
        dtype: what it is to compute in; magnitudes and estimates are float32 in any case.

    Returns:
        A network for the same magnitudes and estimates, on the device, in evaluation mode.
    """
    network = network.eval().requires_grad_(False)
    if type(network) is MaskingNetwork and all(is_usual(stem) for stem in network.networks):
        stems = cast("list[UNet]", list(network.networks))
        if device.type == "cpu" and dtype in _N_PARTS and amx.is_available() and all(map(is_splittable, stems)):
            network = network.to(device, torch.float32)
            return PreparedUNets(network, partial(SplitUNet, n_parts=_N_PARTS[dtype]), torch.float32).eval()
        return PreparedUNets(network, _PreparedUNet, dtype).to(device, dtype).eval()
    network = channels_last(network.to(device, dtype))
    return network if dtype == torch.float32 else _InPrecision(network, dtype).eval()


class _InPrecision(nn.Module):
    """A network that computes in another type than float32, which its magnitudes and estimates keep."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype

    def forward(self, magnitudes: Tensor) -> Tensor:
        estimates: Tensor = self.network(magnitudes.to(self._dtype)).float()
        return estimates


class PreparedUNets(nn.Module):
    """The U-Nets of a `MaskingNetwork`, prepared.

    Args:
        network: it loses its U-Nets.
        prepare: U-Net -> magnitudes that are turned round to logits by blocks that are not, as `_PreparedUNet`.
        dtype: what they are given.
    """

    def __init__(self, network: MaskingNetwork, prepare: Callable[[UNet], nn.Module], dtype: torch.dtype) -> None:
        super().__init__()
        self.networks = nn.ModuleList()
        while network.networks:  # each is let go as soon as it is prepared, so that one at a time is there twice
            self.networks.append(prepare(cast(UNet, network.networks.pop(0))))
        self._to_masks = network.to_masks
        self._dtype = dtype
        self._unit = _FLOAT16_UNIT if dtype == torch.float16 and _is_homogeneous(self) else 1.0
        self._scale_down()

    def _scale_down(self) -> None:
        """Scale what is added anywhere, so that an input scaled as much gives logits scaled as much."""
        for module in self.modules():
            if isinstance(module, Convolution) and module.bias is not None:
                module.bias *= self._unit
            elif isinstance(module, _Affine):
                module.shift *= self._unit

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F), float32."""
        scaled = magnitudes if self._unit == 1 else magnitudes * self._unit
        turned = scaled.to(self._dtype, memory_format=torch.channels_last).flip(-2, -1)
        logits = magnitudes.new_empty((len(self.networks), *magnitudes.shape))
        T, F = (size // BLOCK for size in magnitudes.shape[-2:])
        by_block = logits.reshape(*logits.shape[:-2], T, BLOCK, F, BLOCK)
        for network, stem_logits in zip(self.networks, by_block, strict=True):
            stem_logits.copy_(network(turned))
        if self._unit != 1:
            logits /= self._unit
        return torch.mul(self._to_masks(logits), magnitudes, out=logits)


def _is_homogeneous(network: nn.Module) -> bool:
    """Whether its activations scale with their input."""
    return not any(isinstance(module, nn.ELU) for module in network.modules())


class _PreparedUNet(nn.Module):
    """One U-Net, from magnitudes that are turned round to logits that are not."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        first, *downs = cast("list[Down]", list(unet.encoder))
        *ups, last = cast("list[Up]", list(unet.decoder))
        self.first = _convolution(first.conv)
        self.downs = nn.ModuleList(_Down(layer) for layer in downs)
        self.ups = nn.ModuleList(_Up(layer) for layer in ups)
        self.tail = _Tail(last, unet.head)

    def forward(self, turned: Tensor) -> Tensor:
        """(batch, channels, T, F) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        skips: list[Tensor] = [self.first(turned)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x = skips.pop()
        *ups, last = cast("list[_Up]", list(self.ups))
        for up in ups:
            x = _joined(skips.pop(), up, x)
        logits: Tensor = self.tail(skips.pop(), last(x))
        return logits


class _Down(nn.Module):
    """Norm, activation, convolution: halves the last two axes."""

    def __init__(self, layer: Down) -> None:
        super().__init__()
        assert layer.norm is not None
        assert layer.activation is not None
        self.norm, self.activation = _Affine(layer.norm), in_place(layer.activation)
        self.conv = _convolution(layer.conv)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(self.activation(self.norm(x)))
        return halved


class _Up(nn.Module):
    """Transposed convolution, activation, norm: doubles the last two axes."""

    def __init__(self, layer: Up) -> None:
        super().__init__()
        self.conv, self.norm = _convolution(layer.conv, layer.activation), _Affine(layer.norm)
        self.n_outputs = layer.conv.out_channels

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F), written to `out` if it is given."""
        doubled = self.conv(x)
        normed: Tensor = self.norm(doubled, doubled if out is None else out)
        return normed


class _Affine(nn.Module):
    """A batch norm whose statistics are fixed, as the map x -> scale · x + shift of each channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        scale, shift = affine(norm)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.addcmul(self.shift, self.scale, x, out=out)


class _Tail(nn.Module):
    """The last doubling and the head, on blocks of 4 × 4 bins; its output is not turned round any more."""

    def __init__(self, last: Up, head: nn.Conv2d) -> None:
        super().__init__()
        kernel, self.n_channels = doubling_by_blocks(last.conv.weight), head.out_channels
        n_skipped = kernel.shape[1] // 2
        assert last.conv.bias is not None
        assert head.bias is not None
        # A convolution of two inputs put together is the sum of two convolutions.
        self.of_skip = Convolution(kernel[:, :n_skipped], last.conv.bias.expand(BLOCK**2), stride=2, padding=1)
        self.of_layer = Convolution(kernel[:, n_skipped:], None, stride=2, padding=1)
        self.activation, self.norm = in_place(last.activation), _Affine(last.norm)
        bias = head.bias.repeat_interleave(BLOCK**2)
        self.head = Convolution(head_by_blocks(head.weight), bias, stride=1, padding=1)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """Twice (batch, inputs, T / 2, F / 2) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        turned = self.activation(self.of_skip(skip).add_(self.of_layer(x)))
        blocks = self.head(self.norm(turned, turned).flip(-2, -1))
        batch, _, T, F = blocks.shape
        by_bin: Tensor = blocks.reshape(batch, self.n_channels, BLOCK, BLOCK, T, F)
        return by_bin.permute(0, 1, 4, 2, 5, 3)


def _convolution(conv: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module | None = None) -> Convolution:
    """A layer's convolution turned round, and what is to be done to its output."""
    transposed = isinstance(conv, nn.ConvTranspose2d)
    return Convolution(conv.weight.flip(-2, -1), conv.bias, 2, 2, transposed, activation)


def _joined(skip: Tensor, up: _Up, x: Tensor) -> Tensor:
    """A skip and the output of `up` in one tensor, which nothing but the skip has to be copied to."""
    batch, n_channels, T, F = skip.shape
    shape = (batch, n_channels + up.n_outputs, T, F)
    joined = torch.empty(shape, dtype=skip.dtype, device=skip.device, memory_format=torch.channels_last)
    joined[:, :n_channels] = skip
    up(x, out=joined[:, n_channels:])
    return joined
