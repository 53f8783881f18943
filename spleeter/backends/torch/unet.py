"""A U-Net prepared for inference with torch's operators: what does not depend on the audio is computed beforehand.

batch norms   become affine maps, as their statistics are fixed
orientation   spectrograms and kernels are flipped in time and frequency, so that no padding is copied (blocks.py)
last layers   the last upsampling layer and the head work on blocks of 4 × 4 bins (blocks.py)
kernels       are packed for oneDNN once (convolution.py)
skips         the decoder writes its outputs beside the skips, so that only the skips are copied
"""

from typing import cast

import torch
from torch import Tensor, nn

from spleeter.backends.torch.blocks import (
    BLOCK,
    depth_to_space,
    head_kernel,
    last_upsampling_kernel,
    scale_and_shift,
)
from spleeter.backends.torch.convolution import PackedConvolution, in_place
from spleeter.model.functions.unet import DownsamplingLayer, UNet, UpsamplingLayer

__all__ = ["AffineNorm", "PreparedUNet"]


class PreparedUNet(nn.Module):
    """One standard U-Net, from flipped magnitudes to logits that are not flipped."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        first, *down = cast("list[DownsamplingLayer]", list(unet.encoder))
        *up, last = cast("list[UpsamplingLayer]", list(unet.decoder))
        self.first = _flipped(first.conv)
        self.encoder = nn.ModuleList(_Downsampling(layer) for layer in down)
        self.decoder = nn.ModuleList(_Upsampling(layer) for layer in up)
        self.last = _LastLayers(last, unet.head)

    def forward(self, flipped: Tensor) -> Tensor:
        """(batch, channels, T, F) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        skips: list[Tensor] = [self.first(flipped)]
        for downsample in self.encoder:
            skips.append(downsample(skips[-1]))
        x = skips.pop()  # the bottleneck
        *decoder, last_but_one = cast("list[_Upsampling]", list(self.decoder))
        for upsample in decoder:
            x = _upsample_beside(skips.pop(), upsample, x)
        logits: Tensor = self.last(skips.pop(), last_but_one(x))
        return logits


class _Downsampling(nn.Module):
    """Norm, activation, convolution with stride 2: (batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""

    def __init__(self, layer: DownsamplingLayer) -> None:
        super().__init__()
        assert layer.norm is not None
        assert layer.activation is not None
        self.norm, self.activation = AffineNorm(layer.norm), in_place(layer.activation)
        self.conv = _flipped(layer.conv)

    def forward(self, x: Tensor) -> Tensor:
        downsampled: Tensor = self.conv(self.activation(self.norm(x)))
        return downsampled


class _Upsampling(nn.Module):
    """Transposed convolution with stride 2, activation, norm."""

    def __init__(self, layer: UpsamplingLayer) -> None:
        super().__init__()
        self.conv, self.norm = _flipped(layer.conv, layer.activation), AffineNorm(layer.norm)
        self.out_channels = layer.conv.out_channels

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """(batch, inputs, T, F) -> (batch, outputs, 2 T, 2 F), written to `out` if it is given."""
        upsampled = self.conv(x)
        normed: Tensor = self.norm(upsampled, upsampled if out is None else out)
        return normed


class AffineNorm(nn.Module):
    """A batch norm with fixed statistics: the map x -> scale · x + shift of each channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        scale, shift = scale_and_shift(norm)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.addcmul(self.shift, self.scale, x, out=out)


class _LastLayers(nn.Module):
    """The last upsampling layer and the head on blocks of 4 × 4 bins; flips back in between."""

    def __init__(self, last: UpsamplingLayer, head: nn.Conv2d) -> None:
        super().__init__()
        kernel = last_upsampling_kernel(last.conv.weight)
        n_skip = kernel.shape[1] // 2
        assert last.conv.bias is not None
        assert head.bias is not None
        # The convolution of two concatenated inputs is the sum of two convolutions.
        bias = last.conv.bias.expand(BLOCK**2)
        self.skip_conv = PackedConvolution(kernel[:, :n_skip], bias, stride=2, padding=1)
        self.layer_conv = PackedConvolution(kernel[:, n_skip:], None, stride=2, padding=1)
        self.activation, self.norm = in_place(last.activation), AffineNorm(last.norm)
        bias = head.bias.repeat_interleave(BLOCK**2)
        self.head = PackedConvolution(head_kernel(head.weight), bias, stride=1, padding=1)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """Twice (batch, inputs, T / 2, F / 2) -> logits by blocks (batch, channels, T / 4, 4, F / 4, 4)."""
        flipped = self.activation(self.skip_conv(skip).add_(self.layer_conv(x)))  # (batch, 16, T / 4, F / 4)
        return depth_to_space(self.head(self.norm(flipped, flipped).flip(-2, -1)))


def _flipped(conv: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module | None = None) -> PackedConvolution:
    """A layer's convolution with its kernel flipped, fused with an activation of its output."""
    transposed = isinstance(conv, nn.ConvTranspose2d)
    return PackedConvolution(conv.weight.flip(-2, -1), conv.bias, 2, 2, transposed, activation)


def _upsample_beside(skip: Tensor, upsample: _Upsampling, x: Tensor) -> Tensor:
    """Concatenate a skip and the output of an upsampling layer, which is written in its place at once.

    Skip (batch, n, 2 T, 2 F) and x (batch, inputs, T, F) -> (batch, n + outputs, 2 T, 2 F).
    """
    batch, n_channels, T, F = skip.shape
    shape = (batch, n_channels + upsample.out_channels, T, F)
    joined = torch.empty(shape, dtype=skip.dtype, device=skip.device, memory_format=torch.channels_last)
    joined[:, :n_channels] = skip
    upsample(x, out=joined[:, n_channels:])
    return joined
