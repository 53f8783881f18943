"""Layers of a U-Net rewritten for flipped spectrograms and blocks of 4 × 4 bins, for inference and training.

Flipped in time and frequency, with flipped kernels, TensorFlow's "same" padding (1 before, 2 after) is torch's own,
so that nothing is padded or cropped by copying.

The last upsampling layer has one output channel and the head one input channel, which leaves a processor's vectors
nearly empty. So both work on blocks: space-to-depth (pixel unshuffle) makes 16 channels of the 4 × 4 bins of a block,
(batch, 1, T, F) -> (batch, 16, T / 4, F / 4). A transposed convolution with stride 2 up to bins becomes a convolution
with stride 2 down to blocks, the head's dilated convolution a dense one from blocks to blocks.
"""

import torch
from torch import Tensor, nn

from spleeter.backends.native.implicit_gemm import ConvGeometry
from spleeter.model.functions.unet import UNet, UpsamplingLayer

__all__ = [
    "BLOCK",
    "DOWNSAMPLING",
    "HEAD",
    "LAST_UPSAMPLING",
    "UPSAMPLING",
    "depth_to_space",
    "head_kernel",
    "is_standard_unet",
    "last_upsampling_kernel",
    "scale_and_shift",
]

BLOCK = 4
"""Bins of a block in time and in frequency: what two input pixels of the last upsampling layer become."""

DOWNSAMPLING = ConvGeometry(kernel_size=5, stride=2, padding=2)
UPSAMPLING = ConvGeometry(kernel_size=5, stride=2, padding=2, is_transposed=True)
LAST_UPSAMPLING = ConvGeometry(kernel_size=4, stride=2, padding=1)
HEAD = ConvGeometry(kernel_size=3, stride=1, padding=1)
"""Convolutions on flipped spectrograms: of the encoder, of the decoder, and the last two on blocks."""


def is_standard_unet(network: nn.Module) -> bool:
    """Whether a network is a U-Net as `unet.unet` builds it, rather than one that a user assembled otherwise."""
    if type(network) is not UNet:
        return False
    head, last = network.head, network.decoder[-1]
    geometry = head.kernel_size, head.dilation, head.padding, head.stride
    is_usual_head = geometry == ((4, 4), (2, 2), (3, 3), (1, 1))
    return isinstance(last, UpsamplingLayer) and last.conv.out_channels == 1 and is_usual_head


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The affine map scale · x + shift that a batch norm with fixed statistics is, each (channels,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - scale * norm.running_mean


def last_upsampling_kernel(weight: Tensor) -> Tensor:
    """Rewrite the kernel (inputs, 1, 5, 5) of the last upsampling layer as that of a convolution down to blocks.

    Input and kernel are flipped, the bins within a block are not. Of the 4 inputs j that reach a block, along one
    axis, input j reaches bin r through tap k = r + 4 - 2 j of the flipped kernel.

    Returns:
        (16, inputs, 4, 4), the 16 output channels being the bins of a block, row by row.
    """
    bin_, j, k = torch.meshgrid(torch.arange(BLOCK), torch.arange(4), torch.arange(5), indexing="ij")
    selection = (bin_ + 4 - 2 * j == k).to(weight.dtype).to(weight.device)  # (bins, inputs, taps)
    flipped = weight[:, 0].flip(-2, -1)  # (inputs, 5, 5)
    kernel = torch.einsum("rik,sjl,ckl->rscij", selection, selection, flipped)  # (4, 4, inputs, 4, 4)
    return kernel.flip(0, 1).flatten(0, 1)


def head_kernel(weight: Tensor) -> Tensor:
    """Rewrite the head's kernel (channels, 1, 4, 4), dilation 2, as that of a convolution from blocks to blocks.

    Along one axis, bin q of block d, of the 3 around it, lies 4 (d - 1) + q - r beyond bin r of the output's block;
    tap k of the dilated kernel reaches 2 k - 3 beyond.

    Returns:
        (channels × 16, 16, 3, 3), bins of a block row by row.
    """
    r, q, d, k = torch.meshgrid(*(torch.arange(n) for n in (BLOCK, BLOCK, 3, 4)), indexing="ij")
    selection = (4 * (d - 1) + q - r == 2 * k - 3).to(weight.dtype).to(weight.device)
    kernel = torch.einsum("rqdk,spel,ckl->crsqpde", selection, selection, weight[:, 0])
    return kernel.flatten(0, 2).flatten(1, 2)  # from (channels, 4, 4, 4, 4, 3, 3)


def depth_to_space(blocks: Tensor) -> Tensor:
    """Blocks (batch, channels × 16, T / 4, F / 4) -> a view (batch, channels, T / 4, 4, F / 4, 4) of their bins.

    Reshaped to (batch, channels, T, F), which copies, it is `torch.nn.functional.pixel_shuffle`.
    """
    batch, depth, T, F = blocks.shape
    by_bin = blocks.reshape(batch, depth // BLOCK**2, BLOCK, BLOCK, T, F)
    return by_bin.permute(0, 1, 4, 2, 5, 3)  # (batch, channels, T / 4, 4, F / 4, 4)
