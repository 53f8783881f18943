"""U-Nets rewritten to train faster on a CPU: the same parameters, the same estimates and gradients up to rounding.

orientation   spectrograms and kernels are flipped in time and frequency, so that no padding is copied (blocks.py)
last layers   the last upsampling layer and the head work on blocks of 4 × 4 bins (blocks.py); as written in the
              model's unet.py, with one input or output channel, they take a fifth of a step
batch norms   with fixed statistics are affine maps, each one autograd function with the activation beside it,
              whose gradients are computed in chunks that stay in the caches
skips         a layer's output is written beside the skip that it is concatenated with
stems         are computed side by side, forward and backward (side_by_side.py)
gradients     are computed on AMX where there is such a processor (amx.py), those of the convolutions in split
              float32. The forward pass is not: rounded otherwise, some units would lie on the other side of an
              activation's kink
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

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
    is_standard_unet,
    last_upsampling_kernel,
    scale_and_shift,
)
from spleeter.backends.torch.side_by_side import SideBySide
from spleeter.model.functions.unet import DownsamplingLayer, MaskingNetwork, UNet, UpsamplingLayer

__all__ = ["prepare_for_training"]

_CHUNK = 1 << 17
"""Values of a tensor that are processed together: with the other operands they fill the caches of two cores."""


def prepare_for_training(network: nn.Module) -> nn.Module:
    """Rewrite a network for training on a CPU in float32; it shares the network's parameters.

    Networks other than standard U-Nets, and those with batch statistics or dropout, are returned as they are.
    """
    is_known = type(network) is MaskingNetwork and all(map(_is_deterministic_unet, network.networks))
    return _TrainingUNets(cast(MaskingNetwork, network)) if is_known else network


def _is_deterministic_unet(network: nn.Module) -> bool:
    """Whether a network is a standard U-Net without batch statistics and dropout."""
    if not is_standard_unet(network):
        return False
    return not any(type(module) in (nn.BatchNorm2d, nn.Dropout) for module in network.modules())


class _TrainingUNets(nn.Module):
    """The U-Nets of a `MaskingNetwork`, rewritten."""

    def __init__(self, network: MaskingNetwork) -> None:
        super().__init__()
        self.network, self._side_by_side = network, SideBySide()

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F)."""
        flipped = magnitudes.flip(-2, -1).contiguous(memory_format=torch.channels_last)
        if torch.is_autocast_enabled("cpu"):  # in this thread alone
            logits = torch.stack([_logits(cast(UNet, network), flipped) for network in self.network.networks])
        else:
            networks, parameters = self.network.networks, self.network.parameters()
            logits = _logits_side_by_side(self._side_by_side, torch.is_grad_enabled(), networks, flipped, *parameters)
        return self.network.to_masks(logits) * magnitudes


def _logits(network: UNet, x: Tensor) -> Tensor:
    """Flipped magnitudes (batch, channels, T, F) -> mask logits (batch, channels, T, F), which are not flipped."""
    skips = []
    for layer in network.encoder:
        x = _downsample(cast(DownsamplingLayer, layer), x)
        skips.append(x)
    x = skips.pop()  # the bottleneck
    *up, last = cast("list[UpsamplingLayer]", list(network.decoder))
    for layer in up:
        x = _convolve(x, layer.conv.weight, layer.conv.bias, UPSAMPLING, flip=True)
        x = _activate_norm_concatenate(skips.pop(), x, *scale_and_shift(layer.norm), _fused(layer.activation))
    return _last_layers(last, network.head, x)


def _downsample(layer: DownsamplingLayer, x: Tensor) -> Tensor:
    """(batch, inputs, T, F) -> (batch, outputs, T / 2, F / 2)."""
    if layer.norm is not None and layer.activation is not None:
        x = _norm_activate(x, *scale_and_shift(layer.norm), _fused(layer.activation))
    return _convolve(x, layer.conv.weight.transpose(0, 1), layer.conv.bias, DOWNSAMPLING, flip=True)


def _last_layers(last: UpsamplingLayer, head: nn.Conv2d, x: Tensor) -> Tensor:
    """Last upsampling layer and head: (batch, inputs, T / 2, F / 2), flipped -> logits (batch, channels, T, F)."""
    bias, head_bias = cast(Tensor, last.conv.bias), cast(Tensor, head.bias)
    kernel = last_upsampling_kernel(last.conv.weight).transpose(0, 1)  # (inputs, 16, 4, 4)
    x = _convolve(x, kernel, bias.expand(BLOCK**2), LAST_UPSAMPLING)  # (batch, 16, T / 4, F / 4)
    x = last.activation(_contiguous_gradient(x))
    scale, shift = scale_and_shift(last.norm)
    blocks = _contiguous_gradient((x * scale + shift).flip(-2, -1))
    kernel = head_kernel(head.weight).transpose(0, 1)  # (16, channels × 16, 3, 3)
    blocks = _contiguous_gradient(_convolve(blocks, kernel, head_bias.repeat_interleave(BLOCK**2), HEAD))
    by_bin = depth_to_space(blocks)  # (batch, channels, T / 4, 4, F / 4, 4)
    batch, n_channels, T, _, F, _ = by_bin.shape
    return by_bin.reshape(batch, n_channels, BLOCK * T, BLOCK * F)


# Autograd functions.


class _LogitsSideBySide(torch.autograd.Function):
    """The logits of all stems (stems, batch, channels, T, F); the backward pass of each has a graph of its own."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        side_by_side: SideBySide,
        has_gradients: bool,
        networks: nn.ModuleList,
        flipped: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        stems = [flipped] * len(networks)

        def estimate(stem: int) -> None:
            with torch.set_grad_enabled(has_gradients):
                stems[stem] = _logits(cast(UNet, networks[stem]), flipped)

        side_by_side(estimate, len(networks))
        ctx.side_by_side, ctx.stems = side_by_side, stems  # type: ignore[attr-defined]
        ctx.networks = networks  # type: ignore[attr-defined]
        return torch.stack([logits.detach() for logits in stems])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_parameters: dict[Tensor, Tensor] = {}

        def differentiate(stem: int) -> None:
            trained = [parameter for parameter in ctx.networks[stem].parameters() if parameter.requires_grad]
            if trained:
                computed = torch.autograd.grad(ctx.stems[stem], trained, gradients[0][stem], allow_unused=True)
                of_parameters.update(zip(trained, computed, strict=True))

        ctx.side_by_side(differentiate, len(ctx.networks))
        return None, None, None, None, *(of_parameters.get(parameter) for parameter in ctx.networks.parameters())


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: ConvGeometry, flip: bool = False) -> Tensor:
    """A convolution by a kernel (inputs, outputs, rows, columns), flipped before if `flip`."""
    if _has_amx_gradients(x) and weight.shape[1] % LANES == 0 and not torch.is_autocast_enabled("cpu"):
        return _convolve_with_amx_gradients(x, weight, bias, geometry, flip)
    return _convolve_by_torch(x, weight, bias, geometry, flip)


def _has_amx_gradients(x: Tensor) -> bool:
    """Whether gradients of functions of a tensor (batch, channels, T, F) can be computed on AMX."""
    return x.dtype == torch.float32 and x.shape[1] % LANES == 0 and amx.is_available()


def _convolve_by_torch(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: ConvGeometry, flip: bool) -> Tensor:
    weight = weight.flip(-2, -1) if flip else weight
    _, stride, padding, is_transposed = geometry
    if is_transposed:
        return functional.conv_transpose2d(x, weight, bias, stride, padding, output_padding=stride - 1)
    return functional.conv2d(x, weight.transpose(0, 1), bias, stride, padding)


class _ConvolveWithAmxGradients(torch.autograd.Function):
    """A convolution by torch, whose gradients are computed in split float32 on AMX."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: ConvGeometry, flip: bool
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.flip = geometry, flip  # type: ignore[attr-defined]
        return _convolve_by_torch(x, weight, bias, geometry, flip)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        convolution = amx.amx_convolution(ctx.geometry, *weight.shape[:2], 2)
        grad_x, grad_weight, grad_bias = None, None, None
        if ctx.needs_input_grad[0]:
            adjoint = convolution.adjoint()
            grad_x = adjoint.convolve([amx.FusedInput(gradient)], adjoint.pack(weight.transpose(0, 1), ctx.flip))
        if ctx.needs_input_grad[1]:
            grad_weight = convolution.kernel_gradient(x, gradient, weight, ctx.flip)
        if ctx.needs_input_grad[2]:
            grad_bias = gradient.sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias, None, None


class _FusedActivation(NamedTuple):
    """An activation, applied in place, and its backward pass: (gradient, output) -> gradient of the input."""

    module: nn.Module
    apply_: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def _fused(activation: nn.Module) -> _FusedActivation:
    aten = torch.ops.aten
    if isinstance(activation, nn.LeakyReLU):
        slope = activation.negative_slope
        return _FusedActivation(
            activation,
            lambda x: functional.leaky_relu_(x, slope),
            lambda g, y: aten.leaky_relu_backward(g, y, slope, True),
        )
    if isinstance(activation, nn.ELU):
        return _FusedActivation(
            activation, functional.elu_, lambda g, y: aten.elu_backward(g, 1.0, 1.0, 1.0, True, y)
        )
    return _FusedActivation(activation, functional.relu_, lambda g, y: aten.threshold_backward(g, y, 0.0))


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors (batch, channels, T, F), channels last, alike into chunks (bins, channels)."""
    by_bin = [tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in tensors]  # (batch × T × F, channels)
    n_bins = max(1, _CHUNK // by_bin[0].shape[1])
    return zip(*(torch.split(tensor, n_bins) for tensor in by_bin), strict=True)


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    """Values (channels,) -> (channels, 1, 1) in the type of a tensor (batch, channels, T, F)."""
    return values.to(like.dtype)[:, None, None]


class _NormActivate(torch.autograd.Function):
    """activation(scale · x + shift)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Tensor, shift: Tensor, activation: _FusedActivation) -> Tensor:
        y = activation.apply_(torch.addcmul(_by_channel(shift, x), _by_channel(scale, x), x))
        ctx.save_for_backward(x, scale, shift, y)
        ctx.activation = activation  # type: ignore[attr-defined]
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, y = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        if _has_amx_gradients(x):
            x = x.contiguous(memory_format=torch.channels_last)
            return *amx.norm_backward(gradient, x, scale, shift, ctx.activation.module), None
        grad_x, grad_scale, grad_shift = torch.empty_like(gradient), torch.zeros_like(scale), torch.zeros_like(scale)
        factor = scale.to(x.dtype)
        for g, x_chunk, y_chunk, out in _chunks(gradient, x, y, grad_x):
            grad_normed = ctx.activation.backward(g, y_chunk)
            grad_shift += grad_normed.sum(0, dtype=scale.dtype)
            torch.mul(grad_normed, factor, out=out)
            grad_scale += grad_normed.mul_(x_chunk).sum(0, dtype=scale.dtype)
        return grad_x, grad_scale, grad_shift, None


class _ActivateNormConcatenate(torch.autograd.Function):
    """A skip and scale · activation(x) + shift, concatenated. `x` is overwritten: nothing else needs it."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, skip: Tensor, x: Tensor, scale: Tensor, shift: Tensor, activation: _FusedActivation
    ) -> Tensor:
        activated = activation.apply_(x)
        batch, n_skip, T, F = skip.shape
        shape = (batch, n_skip + x.shape[1], T, F)
        joined = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        joined[:, :n_skip] = skip
        torch.addcmul(_by_channel(shift, x), _by_channel(scale, x), activated, out=joined[:, n_skip:])
        ctx.save_for_backward(activated, scale)
        ctx.activation, ctx.n_skip = activation, n_skip  # type: ignore[attr-defined]
        return joined

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        activated, scale = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        grad_skip, grad_normed = gradient[:, : ctx.n_skip], gradient[:, ctx.n_skip :]
        if _has_amx_gradients(activated):
            activated = activated.contiguous(memory_format=torch.channels_last)
            return grad_skip, *amx.norm_backward(grad_normed, activated, scale, None, ctx.activation.module), None
        grad_x, grad_scale, grad_shift = torch.empty_like(activated), torch.zeros_like(scale), torch.zeros_like(scale)
        factor = scale.to(activated.dtype)
        for g, a, out in _chunks(grad_normed, activated, grad_x):
            grad_shift += g.sum(0, dtype=scale.dtype)
            grad_scale += (g * a).sum(0, dtype=scale.dtype)
            out.copy_(ctx.activation.backward(g * factor, a))
        return grad_skip, grad_x, grad_scale, grad_shift, None


class _ContiguousGradient(torch.autograd.Function):
    """The identity, whose gradient is put into channels-last layout first: it may come in any."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)


_logits_side_by_side = cast("Callable[..., Tensor]", _LogitsSideBySide.apply)
_convolve_with_amx_gradients = cast(
    "Callable[[Tensor, Tensor, Tensor | None, ConvGeometry, bool], Tensor]", _ConvolveWithAmxGradients.apply
)
_norm_activate = cast("Callable[[Tensor, Tensor, Tensor, _FusedActivation], Tensor]", _NormActivate.apply)
_activate_norm_concatenate = cast(
    "Callable[[Tensor, Tensor, Tensor, Tensor, _FusedActivation], Tensor]", _ActivateNormConcatenate.apply
)
_contiguous_gradient = cast("Callable[[Tensor], Tensor]", _ContiguousGradient.apply)
