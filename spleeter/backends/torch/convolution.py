"""Convolutions with a fixed kernel that oneDNN packs once, fused with an activation; memory layouts for convolutions.

oneDNN, torch's library for convolutions on the CPU, computes with kernels in blocked layouts. `torch.convolution`
reorders the kernel into such a layout on every call, which for a deep layer takes as long as the convolution itself.
The operators that take a prepacked kernel are those that `torch.compile` emits. They are not documented, so wherever
they are missing or raise, `torch.convolution` computes the same, more slowly.
"""

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor, nn

__all__ = ["PackedConvolution", "channels_last", "in_place"]

_DILATION, _GROUPS = [1, 1], 1

_FusedActivation = tuple[str, list[float], str]
"""What a oneDNN operator applies to its output: name, parameters, variant."""


class PackedConvolution(nn.Module):
    """A convolution or transposed convolution of (batch, in_channels, height, width), in channels-last layout.

    Args:
        weight: (out_channels, in_channels, height, width); transposed: (in_channels, out_channels, height, width).
        bias: (out_channels,) or None.
        stride, padding: along both axes.
        transposed: whether it is a transposed convolution; its output padding is 1, so that stride 2 doubles sizes.
        activation: of the output.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        transposed: bool = False,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone(memory_format=torch.channels_last))
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self._stride, self._padding = [stride, stride], [padding, padding]
        self._output_padding = [int(transposed)] * 2
        self._transposed = transposed
        self._activation = nn.Identity() if activation is None else in_place(activation)
        self._packed: Callable[[Tensor], Tensor] | None = None
        self._is_first_call = True

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) -> (batch, out_channels, height', width')."""
        if self._is_first_call:
            self._is_first_call = False
            return self._pack_and_convolve(x)
        return self._unpacked(x) if self._packed is None else self._packed(x)

    def _pack_and_convolve(self, x: Tensor) -> Tensor:
        """Pack the kernel for inputs of this shape, if there are operators for it here."""
        try:
            packed = self._pack(x)
            convolved = packed(x)
        except (AttributeError, RuntimeError):
            return self._unpacked(x)
        self._packed = packed
        self.weight = self.weight.new_empty(0)  # the packed copy is the only one to be kept
        return convolved

    def _unpacked(self, x: Tensor) -> Tensor:
        convolved = torch.convolution(
            x, self.weight, self.bias, self._stride, self._padding, _DILATION,
            self._transposed, self._output_padding, _GROUPS,
        )  # fmt: skip
        activated: Tensor = self._activation(convolved)
        return activated

    def _pack(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """This convolution with its kernel packed; raises if there is no operator for it."""
        if x.device.type != "cpu":
            raise RuntimeError("oneDNN computes on the CPU")
        paddings = [self._padding, self._output_padding] if self._transposed else [self._padding]
        geometry = [*paddings, self._stride, _DILATION, _GROUPS]
        if self._transposed:
            reorder = torch.ops.mkldnn._reorder_convolution_transpose_weight
            operator = torch.ops.mkldnn._convolution_transpose_pointwise
        else:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            operator = torch.ops.mkldnn._convolution_pointwise
        kernel, bias = reorder(self.weight, *geometry, list(x.shape)), self.bias
        fused, remaining = _fuse(self._activation)

        def convolve(x: Tensor) -> Tensor:
            activated: Tensor = remaining(operator(x, kernel, bias, *geometry, *fused))
            return activated

        return convolve


def channels_last(network: nn.Module) -> nn.Module:
    """Put the kernels of a network's two-dimensional convolutions into channels-last layout; returns the network."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs lack it
    return network


def in_place(activation: nn.Module) -> nn.Module:
    """A copy of an activation that overwrites its input."""
    made = copy(activation)
    made.inplace = True  # type: ignore[assignment]
    return made


def _fuse(activation: nn.Module) -> tuple[_FusedActivation, nn.Module]:
    """What the oneDNN operator does of an activation, and what remains to be applied after it."""
    if isinstance(activation, nn.ReLU):
        return ("relu", [], ""), nn.Identity()
    if isinstance(activation, nn.LeakyReLU):
        return ("leaky_relu", [activation.negative_slope], ""), nn.Identity()
    return ("none", [], ""), activation
