"""Networks prepared for inference: estimates equal those of the trained network up to rounding, computed faster.

U-Nets are rewritten by unet.py or, on a processor with AMX, by amx_unet.py. Any other network is only moved to its
device and type.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from spleeter.backends.torch import amx
from spleeter.backends.torch.amx_unet import AmxUNet, fits_amx
from spleeter.backends.torch.blocks import BLOCK, is_standard_unet
from spleeter.backends.torch.convolution import PackedConvolution, channels_last
from spleeter.backends.torch.side_by_side import SideBySide
from spleeter.backends.torch.unet import AffineNorm, PreparedUNet
from spleeter.model.functions.unet import MaskingNetwork, UNet

__all__ = ["prepare_for_inference"]

_AMX_COMPONENTS = {torch.float32: 2, torch.bfloat16: 1}
"""bfloat16 components that each number is split into on AMX, to compute in such a type."""

_FLOAT16_UNIT = 2.0**-8
"""Scale of all values in float16, which ends at 65504: no layer overflows for audio 200 times beyond full scale."""


def prepare_for_inference(network: nn.Module, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Prepare a trained network for separation. It must not be used any more: its U-Nets are taken out of it.

    Args:
        network: magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F), float32.
        device: to compute on.
        dtype: to compute in; magnitudes and estimates are float32 in any case.

    Returns:
        A network with the same inputs and outputs, on the device, in evaluation mode.
    """
    network = network.eval().requires_grad_(False)
    if type(network) is MaskingNetwork and all(is_standard_unet(stem) for stem in network.networks):
        unets = cast("list[UNet]", list(network.networks))
        if device.type == "cpu" and dtype in _AMX_COMPONENTS and amx.is_available() and all(map(fits_amx, unets)):
            network = network.to(device, torch.float32)
            prepare = partial(AmxUNet, n_components=_AMX_COMPONENTS[dtype])
            return _PreparedUNets(network, prepare, torch.float32).eval()
        return _PreparedUNets(network, PreparedUNet, dtype).to(device, dtype).eval()
    network = channels_last(network.to(device, dtype))
    return network if dtype == torch.float32 else _InPrecision(network, dtype).eval()


class _InPrecision(nn.Module):
    """A network that computes in another type than float32, the type of its magnitudes and estimates."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype

    def forward(self, magnitudes: Tensor) -> Tensor:
        estimates: Tensor = self.network(magnitudes.to(self._dtype)).float()
        return estimates


class _PreparedUNets(nn.Module):
    """The U-Nets of a `MaskingNetwork`, prepared.

    Args:
        network: its U-Nets are taken out of it.
        prepare: U-Net -> a network from flipped magnitudes to logits by blocks, as `PreparedUNet`.
        dtype: of the flipped magnitudes.
    """

    def __init__(self, network: MaskingNetwork, prepare: Callable[[UNet], nn.Module], dtype: torch.dtype) -> None:
        super().__init__()
        self.networks = nn.ModuleList()
        while network.networks:  # each is released as soon as it is prepared, so that only one is in memory twice
            self.networks.append(prepare(cast(UNet, network.networks.pop(0))))
        self._to_masks = network.to_masks
        self._side_by_side = SideBySide()
        self._dtype = dtype
        is_scaled = dtype == torch.float16 and not any(isinstance(module, nn.ELU) for module in self.modules())
        self._unit = _FLOAT16_UNIT if is_scaled else 1.0  # ELU is not homogeneous: it does not scale with its input
        self._scale_biases()

    def _scale_biases(self) -> None:
        """Scale whatever is added, so that an input scaled by the unit gives logits scaled by it."""
        for module in self.modules():
            if isinstance(module, PackedConvolution) and module.bias is not None:
                module.bias *= self._unit
            elif isinstance(module, AffineNorm):
                module.shift *= self._unit

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F), float32."""
        logits = magnitudes.new_empty((len(self.networks), *magnitudes.shape))
        T, F = (size // BLOCK for size in magnitudes.shape[-2:])
        by_block = logits.reshape(*logits.shape[:-2], T, BLOCK, F, BLOCK)  # a view

        def estimate(stem: int) -> None:
            scaled = magnitudes if self._unit == 1 else magnitudes * self._unit
            flipped = scaled.to(self._dtype, memory_format=torch.channels_last).flip(-2, -1)
            by_block[stem].copy_(self.networks[stem](flipped))

        def mask(part: int) -> None:
            frames = slice(part * BLOCK * T // n_parts, (part + 1) * BLOCK * T // n_parts)
            of_part = logits[..., frames, :]
            if self._unit != 1:
                of_part /= self._unit
            torch.mul(self._to_masks(of_part), magnitudes[..., frames, :], out=of_part)

        if magnitudes.device.type == "cpu":
            n_parts = torch.get_num_threads()
            self._side_by_side(estimate, len(self.networks))
            self._side_by_side(mask, n_parts)
        else:
            n_parts = 1
            for stem in range(len(self.networks)):
                estimate(stem)
            mask(0)
        return logits
