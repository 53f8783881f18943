"""The multichannel Wiener filter against norbert, the reference implementation."""

import norbert
import numpy as np
import pytest
import torch
from torch import Tensor

from spleeter.dsp.wiener import soft_masks, spatial_model, wiener_filter


def problem(stems: int, channels: int, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """Magnitudes (stems, channels, frames, bins) and a mixture's STFT (channels, frames, bins)."""
    generator = torch.Generator().manual_seed(stems + channels)
    sources = torch.randn((stems, channels, 30, 300), dtype=torch.complex64, generator=generator) * gain
    return sources.abs() * torch.rand(sources.shape, generator=generator), sources.sum(dim=0)


def by_norbert(magnitudes: Tensor, mixture: Tensor) -> np.ndarray:
    """norbert's filter of one iteration; it changes what it is given."""
    wide = magnitudes.permute(2, 3, 1, 0).numpy().copy(), mixture.permute(1, 2, 0).numpy().copy()
    stems: np.ndarray = norbert.wiener(*wide, iterations=1).transpose(3, 2, 0, 1)
    return stems


def snr(expected: np.ndarray, got: Tensor) -> float:
    noise = np.mean(np.abs(got.numpy() - expected) ** 2)
    return float(10 * np.log10(np.mean(np.abs(expected) ** 2) / noise))


def filtered(
    masks: Tensor,
    mixture: Tensor,
    n_stems: int | None = None,
    sizes: tuple[int, ...] = (),
    as_norbert: bool = True,
) -> Tensor:
    """Filter an excerpt, in parts of so many frames."""
    parts = list(sizes or mixture.shape[1:2])
    mask_parts, mixture_parts = torch.split(masks, parts, dim=2), torch.split(mixture, parts, dim=1)
    model = spatial_model(mask_parts, mixture_parts, as_norbert)
    stems = [part.new_empty((n_stems or len(masks), *part.shape)) for part in mixture_parts]
    for mask, part, out in zip(mask_parts, mixture_parts, stems, strict=True):
        wiener_filter(mask, part, model, out)
    return torch.cat(stems, dim=2)


@pytest.mark.parametrize(("stems", "channels"), [(2, 2), (4, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("gain", [0.1, 1.0, 100.0])
def test_equals_norbert(stems: int, channels: int, gain: float) -> None:
    magnitudes, mixture = problem(stems, channels, gain)
    assert snr(by_norbert(magnitudes, mixture), filtered(soft_masks(magnitudes), mixture)) > 80


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_parts_are_filtered_as_the_whole(channels: int) -> None:
    magnitudes, mixture = problem(2, channels)
    masks = soft_masks(magnitudes)
    torch.testing.assert_close(filtered(masks, mixture, sizes=(1, 12, 17)), filtered(masks, mixture))


@pytest.mark.parametrize("channels", [2, 3])
def test_fewer_stems_are_the_first_ones(channels: int) -> None:
    magnitudes, mixture = problem(4, channels)
    masks = soft_masks(magnitudes)
    torch.testing.assert_close(filtered(masks, mixture, n_stems=2), filtered(masks, mixture)[:2])


@pytest.mark.parametrize("as_norbert", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_silence_stays_silent(channels: int, as_norbert: bool) -> None:
    masks = soft_masks(torch.zeros(2, channels, 4, 5))
    silence = torch.zeros(channels, 4, 5, dtype=torch.complex64)
    assert not filtered(masks, silence, as_norbert=as_norbert).abs().any()


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("gain", [1e-3, 1.0, 1e3])
def test_nothing_is_left_out_however_soft_it_is(channels: int, gain: float) -> None:
    """But for the regularization, a thousandth of each bin, the filter shares out the mixture; norbert's does not."""
    magnitudes, mixture = problem(3, channels, gain)
    magnitudes[..., 1:] *= 1e-4
    mixture[..., 1:] *= 1e-4
    soft = soft_masks(magnitudes / gain * 1e4)  # the masks of the networks have an epsilon of their own
    stems = filtered(soft, mixture, as_norbert=False)
    assert snr(mixture[..., 1:].numpy(), stems[..., 1:].sum(dim=0)) > 45
    if gain == 1.0:
        assert snr(mixture[..., 1:].numpy(), filtered(soft, mixture).sum(dim=0)[..., 1:]) < 20


@pytest.mark.parametrize("difference", [0.0, 1e-6, 1e-3, 1.0])
def test_channels_that_are_nearly_the_same_are_filtered_as_in_double_precision(difference: float) -> None:
    """Two equal channels make singular matrices."""
    magnitudes, mixture = problem(2, 2)
    mixture[1] = mixture[0] + difference * mixture[1]
    masks = soft_masks(magnitudes)
    wide = filtered(masks.double(), mixture.to(torch.complex128), as_norbert=False)
    assert snr(wide.numpy(), filtered(masks, mixture, as_norbert=False)) > 70


def test_inputs_are_not_changed() -> None:
    magnitudes, mixture = problem(2, 2)
    masks = soft_masks(magnitudes)
    before = masks.clone(), mixture.clone()
    filtered(masks, mixture)
    assert torch.equal(masks, before[0])
    assert torch.equal(mixture, before[1])
