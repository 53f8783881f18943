"""The parts of U-Nets in the forms that separation and training compute with."""

import torch
from torch import Tensor, nn

from spleeter.backends.native.steps import Geometry
from spleeter.model.functions.unet import UNet, Up

BLOCK = 4
"""Bins of a block, in time and in frequency: what two inputs of the last doubling become."""

HALVING = Geometry(size=5, stride=2, padding=2)
DOUBLING = Geometry(size=5, stride=2, padding=2, is_transposed=True)
TAIL = Geometry(size=4, stride=2, padding=1)
HEAD = Geometry(size=3, stride=1, padding=1)
"""Convolutions of spectra that are turned round: of the encoder, the decoder, and by blocks."""


def is_usual(network: nn.Module) -> bool:
    """Whether it is a U-Net such as `unet` builds, rather than one of a user's that is put together otherwise."""
    if type(network) is not UNet:
        return False
    head, last = network.head, network.decoder[-1]
    geometry = head.kernel_size, head.dilation, head.padding, head.stride
    return isinstance(last, Up) and last.conv.out_channels == 1 and geometry == ((4, 4), (2, 2), (3, 3), (1, 1))


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift (channels,) of a batch norm whose statistics are fixed."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - scale * norm.running_mean


def doubling_by_blocks(weight: Tensor) -> Tensor:
    """The kernel (inputs, 1, 5, 5) of the last doubling -> that of a convolution with stride 2 to blocks.

    Input and kernel are turned round, the bins within a block are not. Bin r of a block and input j of the four
    that reach it are 2 j - 4 - r apart, which is the place in the kernel.

    Returns:
        (4 * 4, inputs, 4, 4).
    """
    bin_, j, k = torch.meshgrid(torch.arange(BLOCK), torch.arange(4), torch.arange(5), indexing="ij")
    meets = (bin_ + 4 - 2 * j == k).to(weight.dtype).to(weight.device)
    turned = weight[:, 0].flip(-2, -1)
    kernel = torch.einsum("rik,sjl,ckl->rscij", meets, meets, turned)
    return kernel.flip(0, 1).flatten(0, 1)


def head_by_blocks(weight: Tensor) -> Tensor:
    """The kernel (channels, 1, 4, 4) of the head, with dilation 2 -> that of a convolution from blocks to blocks.

    Bin r of a block and bin q of the block d - 1 further on are 4 (d - 1) + q - r apart, the kernel reaches from -3
    to 3 in steps of 2.

    Returns:
        (channels * 4 * 4, 4 * 4, 3, 3).
    """
    r, q, d, k = torch.meshgrid(*(torch.arange(n) for n in (BLOCK, BLOCK, 3, 4)), indexing="ij")
    meets = (4 * (d - 1) + q - r == 2 * k - 3).to(weight.dtype).to(weight.device)
    return torch.einsum("rqdk,spel,ckl->crsqpde", meets, meets, weight[:, 0]).flatten(0, 2).flatten(1, 2)
