"""Rules of the U-Nets, `unet.unet` and `unet.softmax_unet`."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from spleeter.model.rules import NetworkRules
from spleeter.utils.json_values import ListAsTuple, PositiveWhole, StrictModel, one_of

__all__ = ["N_DOWNSAMPLINGS", "RULES", "SIZE_MULTIPLE", "Activation", "UNetParams"]

N_DOWNSAMPLINGS = 6
"""Strided convolutions of the encoder, each of which halves T and F."""

SIZE_MULTIPLE: int = 2**N_DOWNSAMPLINGS

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


RULES = NetworkRules(
    params=UNetParams,
    size_multiple=SIZE_MULTIPLE,
    size_reason="for a U-Net: it is halved six times",
    n_channels=(1, 2),
    channels_reason="for a U-Net: mono, or left and right",
    takes_any_n_bins=True,
)
