"""Rules of the U-Nets, `unet.unet` and `unet.softmax_unet`."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from spleeter.model.rules import NetworkRules
from spleeter.utils.json_values import ListAsTuple, PositiveWhole, StrictModel, one_of

__all__ = ["DEFAULT_FILTERS", "N_DOWNSAMPLINGS", "RULES", "SIZE_MULTIPLE", "Activation", "UNetParams"]

N_DOWNSAMPLINGS = 6
"""Strided convolutions of the encoder, each of which halves T and F."""

SIZE_MULTIPLE: int = 2**N_DOWNSAMPLINGS

DEFAULT_FILTERS = (16, 32, 64, 128, 256, 512)

Activation: TypeAlias = Literal["ReLU", "ELU", "LeakyReLU"]


def _one_per_convolution(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(values) != N_DOWNSAMPLINGS:
        raise ValueError(f"must hold exactly {N_DOWNSAMPLINGS} numbers, one for each convolution")
    return values


class UNetParams(StrictModel):
    """The params of a U-Net."""

    conv_n_filters: Annotated[tuple[PositiveWhole, ...], ListAsTuple, AfterValidator(_one_per_convolution)] | None = (
        None
    )
    conv_activation: Annotated[Activation, one_of(Activation)] | None = None
    deconv_activation: Annotated[Activation, one_of(Activation)] | None = None
    batch_statistics: bool | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None


def _n_values(params: Mapping[str, Any], n_channels: int, T: int, F: int) -> tuple[int, int]:
    """The kernels, 5 × 5, of the encoder and of the decoder, whose inputs are twice as wide; a skip and what it is
    concatenated with, from each layer."""
    n_filters = params.get("conv_n_filters") or DEFAULT_FILTERS
    n_weights = 25 * 3 * sum(n * m for n, m in pairwise((n_channels, *n_filters)))
    n_activations = 3 * sum(n * (T >> depth) * (F >> depth) for depth, n in enumerate(n_filters, start=1))
    return n_weights, n_activations


RULES = NetworkRules(
    params=UNetParams,
    size_multiple=SIZE_MULTIPLE,
    size_reason="for a U-Net: it is halved six times",
    n_channels=(1, 2),
    channels_reason="for a U-Net: mono, or left and right",
    takes_any_n_bins=True,
    n_values=_n_values,
)
