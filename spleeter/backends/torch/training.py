"""U-Nets in the form that a CPU trains fastest: the same parameters, the same numbers up to rounding.

orientation  spectra and kernels are turned round in time and frequency, as in inference.py, so that nothing is
             padded or cropped by copying
tail         the last doubling and the head work on blocks of 4 × 4 bins, as there: as they are written in unet.py,
             with one input or output, they take a fifth of a step
norms        with fixed statistics are affine maps. Each is one function with the activation beside it, whose
             gradients are computed in parts that stay in the caches
skips        what a layer gives is written beside the skip that it joins
gradients    are computed by native/amx.py on a processor with AMX, those of the convolutions in split float32.
             Estimates are not: rounded otherwise, some units would be on the other side of an activation's corner
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from spleeter.backends.native.steps import LANES, Geometry
from spleeter.backends.torch import amx
from spleeter.backends.torch.forms import (
    BLOCK,
    DOUBLING,
    HALVING,
    HEAD,
    TAIL,
    affine,
    doubling_by_blocks,
    head_by_blocks,
    is_usual,
)
from spleeter.model.functions.unet import Down, MaskingNetwork, UNet, Up

_PART = 1 << 17
"""Numbers of a tensor that are worked on at once: with the others at hand they fill the caches of two cores."""


def for_training(network: nn.Module) -> nn.Module:
    """The form of a network to train on a CPU in float32; it shares the network's parameters.

    A network that is not made of the U-Nets here, or whose norms follow their batches or that has dropouts, is
    returned as it is.
    """
    is_known = type(network) is MaskingNetwork and all(map(_is_plain, network.networks))
    return _TrainedUNets(cast(MaskingNetwork, network)) if is_known else network


def _is_plain(network: nn.Module) -> bool:
    """Whether it is a U-Net as `unet` builds it, without batch statistics and dropout."""
    if not is_usual(network):
        return False
    return not any(type(module) in (nn.BatchNorm2d, nn.Dropout) for module in network.modules())


class _TrainedUNets(nn.Module):
    """Takes and gives what the network that it is made from does."""

    def __init__(self, network: MaskingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F)."""
        turned = magnitudes.flip(-2, -1).contiguous(memory_format=torch.channels_last)
        logits = torch.stack([_logits(cast(UNet, network), turned) for network in self.network.networks])
        return self.network.to_masks(logits) * magnitudes


def _logits(network: UNet, x: Tensor) -> Tensor:
    """Magnitudes (batch, channels, T, F), turned round -> mask logits (batch, channels, T, F), which are not."""
    skips = []
    for down in network.encoder:
        x = _down(cast(Down, down), x)
        skips.append(x)
    x = skips.pop()
    *ups, last = cast("list[Up]", list(network.decoder))
    for up in ups:
        x = _convolved(x, up.conv.weight, up.conv.bias, DOUBLING, is_turned=True)
        x = _joined(skips.pop(), x, *affine(up.norm), _kind(up.activation))
    return _tail(last, network.head, x)


def _down(layer: Down, x: Tensor) -> Tensor:
    if layer.norm is not None and layer.activation is not None:
        x = _normed(x, *affine(layer.norm), _kind(layer.activation))
    return _convolved(x, layer.conv.weight.transpose(0, 1), layer.conv.bias, HALVING, is_turned=True)


def _tail(last: Up, head: nn.Conv2d, x: Tensor) -> Tensor:
    """(batch, inputs, T / 2, F / 2), turned round -> logits (batch, channels, T, F)."""
    bias, head_bias = cast(Tensor, last.conv.bias), cast(Tensor, head.bias)
    x = _convolved(x, doubling_by_blocks(last.conv.weight).transpose(0, 1), bias.expand(BLOCK**2), TAIL)
    x = last.activation(_in_order(x))
    scale, shift = affine(last.norm)
    blocks = _in_order((x * scale + shift).flip(-2, -1))
    kernel = head_by_blocks(head.weight).transpose(0, 1)
    blocks = _in_order(_convolved(blocks, kernel, head_bias.repeat_interleave(BLOCK**2), HEAD))
    batch, _, T, F = blocks.shape
    by_bin = blocks.reshape(batch, head.out_channels, BLOCK, BLOCK, T, F).permute(0, 1, 4, 2, 5, 3)
    return by_bin.reshape(batch, head.out_channels, BLOCK * T, BLOCK * F)


# The functions and their gradients.


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, is_turned: bool = False) -> Tensor:
    """A convolution by a kernel (inputs, outputs, rows, columns), which may be turned round before."""
    if _is_for_amx(x) and weight.shape[1] % LANES == 0 and not torch.is_autocast_enabled("cpu"):
        return _with_split_gradients(x, weight, bias, geometry, is_turned)
    return _plainly_convolved(x, weight, bias, geometry, is_turned)


def _is_for_amx(x: Tensor) -> bool:
    """Whether the gradients of what is done with a tensor (batch, channels, T, F) can be computed there."""
    return x.dtype == torch.float32 and x.shape[1] % LANES == 0 and amx.is_available()


def _plainly_convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, is_turned: bool) -> Tensor:
    weight = weight.flip(-2, -1) if is_turned else weight
    _, stride, padding, is_transposed = geometry
    if is_transposed:
        return functional.conv_transpose2d(x, weight, bias, stride, padding, output_padding=stride - 1)
    return functional.conv2d(x, weight.transpose(0, 1), bias, stride, padding)


class _WithSplitGradients(torch.autograd.Function):
    """A convolution whose gradients are computed in split float32."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, is_turned: bool
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.is_turned = geometry, is_turned  # type: ignore[attr-defined]
        return _plainly_convolved(x, weight, bias, geometry, is_turned)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        convolution = amx.split_convolution(ctx.geometry, *weight.shape[:2], 2)
        of_x, of_weight, of_bias = None, None, None
        if ctx.needs_input_grad[0]:
            adjoint = convolution.adjoint()
            of_x = adjoint.convolve([amx.Input(gradient)], adjoint.laid_out(weight.transpose(0, 1), ctx.is_turned))
        if ctx.needs_input_grad[1]:
            of_weight = convolution.kernel_gradient(x, gradient, weight, ctx.is_turned)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None, None


class _Kind(NamedTuple):
    """An activation: how it is applied in place, and what its output makes of the gradient."""

    module: nn.Module
    apply_: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]


def _kind(activation: nn.Module) -> _Kind:
    backward = torch.ops.aten
    if isinstance(activation, nn.LeakyReLU):
        slope = activation.negative_slope
        return _Kind(
            activation,
            lambda x: functional.leaky_relu_(x, slope),
            lambda g, y: backward.leaky_relu_backward(g, y, slope, True),
        )
    if isinstance(activation, nn.ELU):
        return _Kind(activation, functional.elu_, lambda g, y: backward.elu_backward(g, 1.0, 1.0, 1.0, True, y))
    return _Kind(activation, functional.relu_, lambda g, y: backward.threshold_backward(g, y, 0.0))


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors (batch, channels, T, F), channels last, as parts of their rows (bins, channels), all alike."""
    rows = [tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in tensors]
    n_rows = max(1, _PART // rows[0].shape[1])
    return zip(*(torch.split(tensor, n_rows) for tensor in rows), strict=True)


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    """Values (channels,) in the type of a tensor (batch, channels, T, F), to be combined with it."""
    return values.to(like.dtype)[:, None, None]


class _Normed(torch.autograd.Function):
    """activation(scale · x + shift)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Tensor, shift: Tensor, kind: _Kind) -> Tensor:
        y = kind.apply_(torch.addcmul(_by_channel(shift, x), _by_channel(scale, x), x))
        ctx.save_for_backward(x, scale, shift, y)
        ctx.kind = kind  # type: ignore[attr-defined]
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, y = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        if _is_for_amx(x):
            x = x.contiguous(memory_format=torch.channels_last)
            return *amx.norm_gradients(gradient, x, scale, shift, ctx.kind.module), None
        of_x, of_scale, of_shift = torch.empty_like(gradient), torch.zeros_like(scale), torch.zeros_like(scale)
        factor = scale.to(x.dtype)
        for g, x_part, y_part, out in _parts(gradient, x, y, of_x):
            before = ctx.kind.gradient(g, y_part)
            of_shift += before.sum(0, dtype=scale.dtype)
            torch.mul(before, factor, out=out)
            of_scale += before.mul_(x_part).sum(0, dtype=scale.dtype)
        return of_x, of_scale, of_shift, None


class _Joined(torch.autograd.Function):
    """skip and scale · activation(x) + shift, one beside the other. `x` is overwritten: nothing else needs it."""

    @staticmethod
    def forward(ctx: FunctionCtx, skip: Tensor, x: Tensor, scale: Tensor, shift: Tensor, kind: _Kind) -> Tensor:
        activated = kind.apply_(x)
        batch, n_skipped, T, F = skip.shape
        shape = (batch, n_skipped + x.shape[1], T, F)
        joined = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        joined[:, :n_skipped] = skip
        torch.addcmul(_by_channel(shift, x), _by_channel(scale, x), activated, out=joined[:, n_skipped:])
        ctx.save_for_backward(activated, scale)
        ctx.kind, ctx.n_skipped = kind, n_skipped  # type: ignore[attr-defined]
        return joined

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        activated, scale = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        of_skip, of_layer = gradient[:, : ctx.n_skipped], gradient[:, ctx.n_skipped :]
        if _is_for_amx(activated):
            activated = activated.contiguous(memory_format=torch.channels_last)
            return of_skip, *amx.norm_gradients(of_layer, activated, scale, None, ctx.kind.module), None
        of_x, of_scale, of_shift = torch.empty_like(activated), torch.zeros_like(scale), torch.zeros_like(scale)
        factor = scale.to(activated.dtype)
        for g, a, out in _parts(of_layer, activated, of_x):
            of_shift += g.sum(0, dtype=scale.dtype)
            of_scale += (g * a).sum(0, dtype=scale.dtype)
            out.copy_(ctx.kind.gradient(g * factor, a))
        return of_skip, of_x, of_scale, of_shift, None


class _InOrder(torch.autograd.Function):
    """The same numbers; their gradients, which may come in any order of axes, are put in order first."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)


_with_split_gradients = cast(
    "Callable[[Tensor, Tensor, Tensor | None, Geometry, bool], Tensor]", _WithSplitGradients.apply
)
_normed = cast("Callable[[Tensor, Tensor, Tensor, _Kind], Tensor]", _Normed.apply)
_joined = cast("Callable[[Tensor, Tensor, Tensor, Tensor, _Kind], Tensor]", _Joined.apply)
_in_order = cast("Callable[[Tensor], Tensor]", _InOrder.apply)
