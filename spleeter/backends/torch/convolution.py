"""A convolution with a fixed kernel, which is laid out once as the processor wants it, and an activation.

oneDNN, torch's library for convolutions on the CPU, computes with kernels in blocked layouts. torch's `convolution`
turns the kernel into such a layout on every call, which for a deep layer takes as long as the convolution itself.
The operators that take a blocked kernel are what `torch.compile` emits; they are not documented, so wherever they
are missing or refuse, `convolution` does the same, more slowly.
"""

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor, nn

_DILATION, _GROUPS = [1, 1], 1

_Activation = tuple[str, list[float], str]
"""What a blocked operator does to its output at once: name, numbers, variant."""


class Convolution(nn.Module):
    """A convolution, transposed or not, of (batch, inputs, height, width), in channels-last layout.

    Args:
        weight: (outputs, inputs, height, width); if transposed, (inputs, outputs, height, width).
        bias: (outputs,) or None.
        stride, padding: of both axes.
        transposed: whether it is; one more row and column are put out then, so that stride 2 doubles sizes.
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
        self._blocked: Callable[[Tensor], Tensor] | None = None
        self._is_new = True

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height', width')."""
        if self._is_new:
            self._is_new = False
            return self._first(x)
        return self._plain(x) if self._blocked is None else self._blocked(x)

    def _first(self, x: Tensor) -> Tensor:
        """Lay the kernel out, for inputs like the first, if that can be done here."""
        try:
            blocked = self._laid_out(x)
            convolved = blocked(x)
        except (AttributeError, RuntimeError):
            return self._plain(x)
        self._blocked = blocked
        self.weight = self.weight.new_empty(0)  # the blocked copy is the only one to be kept
        return convolved

    def _plain(self, x: Tensor) -> Tensor:
        convolved = torch.convolution(
            x, self.weight, self.bias, self._stride, self._padding, _DILATION,
            self._transposed, self._output_padding, _GROUPS,
        )  # fmt: skip
        activated: Tensor = self._activation(convolved)
        return activated

    def _laid_out(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """This convolution with its kernel laid out; raises if there is no operator for it."""
        if x.device.type != "cpu":
            raise RuntimeError("oneDNN works on the CPU")
        shifts = [self._padding, self._output_padding] if self._transposed else [self._padding]
        geometry = [*shifts, self._stride, _DILATION, _GROUPS]
        if self._transposed:
            lay_out = torch.ops.mkldnn._reorder_convolution_transpose_weight
            operator = torch.ops.mkldnn._convolution_transpose_pointwise
        else:
            lay_out = torch.ops.mkldnn._reorder_convolution_weight
            operator = torch.ops.mkldnn._convolution_pointwise
        kernel, bias = lay_out(self.weight, *geometry, list(x.shape)), self.bias
        fused, remaining = _fused(self._activation)

        def convolve(x: Tensor) -> Tensor:
            activated: Tensor = remaining(operator(x, kernel, bias, *geometry, *fused))
            return activated

        return convolve


def channels_last(network: nn.Module) -> nn.Module:
    """Lay out the kernels of a network's two-dimensional convolutions so that channels come last; returns it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs lack it
    return network


def in_place(activation: nn.Module) -> nn.Module:
    """The same activation, written over its input."""
    made = copy(activation)
    made.inplace = True  # type: ignore[assignment]
    return made


def _fused(activation: nn.Module) -> tuple[_Activation, nn.Module]:
    """What of an activation the operator does, and what remains to be done."""
    if isinstance(activation, nn.ReLU):
        return ("relu", [], ""), nn.Identity()
    if isinstance(activation, nn.LeakyReLU):
        return ("leaky_relu", [activation.negative_slope], ""), nn.Identity()
    return ("none", [], ""), activation
