"""A U-Net for separation in split float32 (native/amx.py), where norms and activations are part of the convolutions.

It works on spectra turned round, with its tail on blocks, as the one in inference.py does. Nothing is put side by
side by copying: a convolution takes the skip and the layer before as two inputs. Only the first layer, which has too
few inputs, is torch's.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from spleeter.backends.native.steps import LANES, Geometry
from spleeter.backends.torch import amx
from spleeter.backends.torch.convolution import Convolution
from spleeter.backends.torch.forms import (
    BLOCK,
    DOUBLING,
    HALVING,
    HEAD,
    TAIL,
    affine,
    doubling_by_blocks,
    head_by_blocks,
)
from spleeter.model.functions.unet import Down, UNet, Up


def is_splittable(unet: UNet) -> bool:
    """Whether its channels come in sixteens, and its activations are those that can be part of a convolution."""
    downs, ups = cast("list[Down]", list(unet.encoder)), cast("list[Up]", list(unet.decoder))
    activations = [down.activation for down in downs[1:]] + [up.activation for up in ups]
    is_known = all(activation is not None and amx.is_known(activation) for activation in activations)
    counts = [down.conv.out_channels for down in downs] + [up.conv.out_channels for up in ups[:-1]]
    return is_known and all(n % LANES == 0 for n in counts)


class SplitUNet(nn.Module):
    """A U-Net that is usual and splittable, from magnitudes that are turned round to logits that are not.

    Args:
        unet: with fixed statistics.
        n_parts: that numbers are taken apart into: 2 for float32, 1 for bfloat16.
    """

    def __init__(self, unet: UNet, n_parts: int) -> None:
        super().__init__()
        first, *downs = cast("list[Down]", list(unet.encoder))
        *ups, last = cast("list[Up]", list(unet.decoder))
        self.first = Convolution(first.conv.weight.flip(-2, -1), first.conv.bias, stride=2, padding=2)
        self.downs = [_down(layer, n_parts) for layer in downs]
        self.ups = [_up(layer, above, n_parts) for layer, above in zip(ups, [None, *ups], strict=False)]
        self.tail, self.head = _tail(last, ups[-1], n_parts), _head(unet.head, last, n_parts)
        self._n_channels = unet.head.out_channels

    def forward(self, turned: Tensor) -> Tensor:
        """(batch, channels, T, F) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        skips: list[Tensor] = [self.first(turned).contiguous(memory_format=torch.channels_last)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        first, *ups = self.ups
        x = first(skips.pop())
        for up in ups:
            x = up(skips.pop(), x)
        blocks = self.head(self.tail(skips.pop(), x))
        batch, _, T, F = blocks.shape
        return blocks.reshape(batch, self._n_channels, BLOCK, BLOCK, T, F).permute(0, 1, 4, 2, 5, 3)


class _Layer:
    """A convolution of inputs side by side, what each goes through before, and the outputs after."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        before: Sequence[amx.Before],
        after: nn.Module,
        n_parts: int,
        turns_output: bool = False,
    ) -> None:
        """`weight` is (inputs, outputs, rows, columns)."""
        self._convolution = amx.split_convolution(geometry, *weight.shape[:2], n_parts)
        self._kernel = self._convolution.laid_out(weight)
        self._bias = None if bias is None else bias.contiguous()
        self._before, self._after, self._turns_output = before, after, turns_output

    def __call__(self, *inputs: Tensor) -> Tensor:
        prepared = [amx.Input(x, before) for x, before in zip(inputs, self._before, strict=True)]
        return self._convolution.convolve(prepared, self._kernel, self._bias, self._after, self._turns_output)


def _down(layer: Down, n_parts: int) -> _Layer:
    assert layer.norm is not None
    assert layer.activation is not None
    before = amx.Before(*affine(layer.norm), layer.activation)
    weight = layer.conv.weight.transpose(0, 1).flip(-2, -1)
    return _Layer(weight, layer.conv.bias, HALVING, [before], nn.Identity(), n_parts)


def _up(layer: Up, above: Up | None, n_parts: int) -> _Layer:
    """A doubling of a skip and what the layer above it gives; the deepest has the bottleneck alone."""
    before = [amx.NOTHING] if above is None else [amx.NOTHING, amx.Before(*affine(above.norm))]
    return _Layer(layer.conv.weight.flip(-2, -1), layer.conv.bias, DOUBLING, before, layer.activation, n_parts)


def _tail(last: Up, above: Up, n_parts: int) -> _Layer:
    assert last.conv.bias is not None
    weight, bias = doubling_by_blocks(last.conv.weight).transpose(0, 1), last.conv.bias.expand(BLOCK**2)
    return _Layer(weight, bias, TAIL, [amx.NOTHING, amx.Before(*affine(above.norm))], last.activation, n_parts)


def _head(head: nn.Conv2d, last: Up, n_parts: int) -> _Layer:
    """Its input is turned round, its output is not."""
    assert head.bias is not None
    weight = head_by_blocks(head.weight).flip(-2, -1).transpose(0, 1)
    scale, shift = (values.repeat_interleave(BLOCK**2) for values in affine(last.norm))
    bias = head.bias.repeat_interleave(BLOCK**2)
    return _Layer(weight, bias, HEAD, [amx.Before(scale, shift)], nn.Identity(), n_parts, turns_output=True)
