"""A U-Net prepared for inference on AMX: norms and activations are fused into the convolutions as pro- and epilogues.

As in unet.py it works on flipped spectrograms, its last layers on blocks. Nothing is concatenated by copying: a
convolution takes the skip and the output of the layer below as two inputs. Only the first layer, which has too few
input channels, is oneDNN's.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from spleeter.backends.native.implicit_gemm import LANES, ConvGeometry
from spleeter.backends.torch import amx
from spleeter.backends.torch.blocks import (
    BLOCK,
    DOWNSAMPLING,
    HEAD,
    LAST_UPSAMPLING,
    UPSAMPLING,
    depth_to_space,
    head_kernel,
    last_upsampling_kernel,
    scale_and_shift,
)
from spleeter.backends.torch.convolution import PackedConvolution
from spleeter.model.functions.unet import DownsamplingLayer, UNet, UpsamplingLayer

__all__ = ["AmxUNet", "fits_amx"]


def fits_amx(unet: UNet) -> bool:
    """Whether a U-Net's channel counts are multiples of 16 and its activations can be fused."""
    down = cast("list[DownsamplingLayer]", list(unet.encoder))
    up = cast("list[UpsamplingLayer]", list(unet.decoder))
    activations = [layer.activation for layer in down[1:]] + [layer.activation for layer in up]
    are_fusable = all(activation is not None and amx.is_fusable(activation) for activation in activations)
    channels = [layer.conv.out_channels for layer in down] + [layer.conv.out_channels for layer in up[:-1]]
    return are_fusable and all(n % LANES == 0 for n in channels)


class AmxUNet(nn.Module):
    """One U-Net that `fits_amx`, from flipped magnitudes to logits that are not flipped.

    Args:
        unet: standard, with fixed batch norm statistics.
        n_components: bfloat16 components of each float32: 2 computes in split float32, 1 in bfloat16.
    """

    def __init__(self, unet: UNet, n_components: int) -> None:
        super().__init__()
        first, *down = cast("list[DownsamplingLayer]", list(unet.encoder))
        *up, last = cast("list[UpsamplingLayer]", list(unet.decoder))
        self.first = PackedConvolution(first.conv.weight.flip(-2, -1), first.conv.bias, stride=2, padding=2)
        self.encoder = [_downsampling(layer, n_components) for layer in down]
        below = [None, *up[:-1]]
        self.decoder = [_upsampling(*layers, n_components) for layers in zip(up, below, strict=True)]
        self.last = _last_upsampling(last, up[-1], n_components)
        self.head = _head(unet.head, last, n_components)

    def forward(self, flipped: Tensor) -> Tensor:
        """(batch, channels, T, F) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        skips: list[Tensor] = [self.first(flipped).contiguous(memory_format=torch.channels_last)]
        for downsample in self.encoder:
            skips.append(downsample(skips[-1]))
        deepest, *decoder = self.decoder
        x = deepest(skips.pop())  # the bottleneck
        for upsample in decoder:
            x = upsample(skips.pop(), x)
        return depth_to_space(self.head(self.last(skips.pop(), x)))


class _FusedLayer:
    """A convolution of inputs, concatenated along the channels, with their prologues and an epilogue.

    `weight` is (in_channels, out_channels, rows, columns).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: ConvGeometry,
        prologues: Sequence[amx.Prologue],
        activation: nn.Module,
        n_components: int,
        flip_output: bool = False,
    ) -> None:
        self._convolution = amx.amx_convolution(geometry, *weight.shape[:2], n_components)
        self._packed_kernel = self._convolution.pack(weight)
        self._bias = None if bias is None else bias.contiguous()
        self._prologues, self._activation, self._flip_output = prologues, activation, flip_output

    def __call__(self, *inputs: Tensor) -> Tensor:
        fused = [amx.FusedInput(x, prologue) for x, prologue in zip(inputs, self._prologues, strict=True)]
        return self._convolution.convolve(fused, self._packed_kernel, self._bias, self._activation, self._flip_output)


def _downsampling(layer: DownsamplingLayer, n_components: int) -> _FusedLayer:
    assert layer.norm is not None
    assert layer.activation is not None
    prologue = amx.Prologue(*scale_and_shift(layer.norm), layer.activation)
    weight = layer.conv.weight.transpose(0, 1).flip(-2, -1)  # (in_channels, out_channels, 5, 5)
    return _FusedLayer(weight, layer.conv.bias, DOWNSAMPLING, [prologue], nn.Identity(), n_components)


def _upsampling(layer: UpsamplingLayer, below: UpsamplingLayer | None, n_components: int) -> _FusedLayer:
    """A layer whose inputs are a skip and the output of the layer below; the deepest has the bottleneck alone."""
    weight, bias = layer.conv.weight.flip(-2, -1), layer.conv.bias
    return _FusedLayer(weight, bias, UPSAMPLING, _skip_and(below), layer.activation, n_components)


def _last_upsampling(last: UpsamplingLayer, below: UpsamplingLayer, n_components: int) -> _FusedLayer:
    assert last.conv.bias is not None
    weight = last_upsampling_kernel(last.conv.weight).transpose(0, 1)  # (in_channels, 16, 4, 4)
    bias = last.conv.bias.expand(BLOCK**2)
    return _FusedLayer(weight, bias, LAST_UPSAMPLING, _skip_and(below), last.activation, n_components)


def _skip_and(below: UpsamplingLayer | None) -> list[amx.Prologue]:
    """Prologues of a skip, which has none, and of the layer below, whose norm is applied where its output is read."""
    return [amx.NO_PROLOGUE] if below is None else [amx.NO_PROLOGUE, amx.Prologue(*scale_and_shift(below.norm))]


def _head(head: nn.Conv2d, last: UpsamplingLayer, n_components: int) -> _FusedLayer:
    """The head on blocks: its input is flipped, its output is not."""
    assert head.bias is not None
    weight = head_kernel(head.weight).flip(-2, -1).transpose(0, 1)  # (16, channels × 16, 3, 3)
    scale, shift = (values.repeat_interleave(BLOCK**2) for values in scale_and_shift(last.norm))
    bias, prologue = head.bias.repeat_interleave(BLOCK**2), amx.Prologue(scale, shift)
    return _FusedLayer(weight, bias, HEAD, [prologue], nn.Identity(), n_components, flip_output=True)
