"""The multichannel Wiener filter against norbert, the reference implementation."""

import norbert
import numpy as np
import pytest
import torch
from torch import Tensor

from spleeter.masking.wiener import wiener_filter


def problem(stems: int, channels: int, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """Magnitudes (stems, channels, frames, bins) and a mixture's STFT (channels, frames, bins)."""
    generator = torch.Generator().manual_seed(stems + channels)
    sources = torch.randn((stems, channels, 30, 300), dtype=torch.complex64, generator=generator) * gain
    return sources.abs() * torch.rand(sources.shape, generator=generator), sources.sum(dim=0)


@pytest.mark.parametrize(("stems", "channels"), [(2, 2), (4, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("gain", [0.1, 1.0, 100.0])
def test_equals_norbert(stems: int, channels: int, iterations: int, gain: float) -> None:
    magnitudes, mixture = problem(stems, channels, gain)
    got = wiener_filter(magnitudes, mixture, iterations).numpy()
    wide = magnitudes.permute(2, 3, 1, 0).numpy(), mixture.permute(1, 2, 0).numpy()
    expected = norbert.wiener(*wide, iterations=iterations).transpose(3, 2, 0, 1)
    noise = np.mean(np.abs(got - expected) ** 2)
    assert 10 * np.log10(np.mean(np.abs(expected) ** 2) / noise) > 80


def test_silence_stays_silent() -> None:
    silence = wiener_filter(torch.zeros(2, 2, 4, 5), torch.zeros(2, 4, 5, dtype=torch.complex64))
    assert not silence.abs().any()


def test_inputs_are_not_changed() -> None:
    magnitudes, mixture = problem(2, 2)
    before = magnitudes.clone(), mixture.clone()
    wiener_filter(magnitudes, mixture)
    assert torch.equal(magnitudes, before[0])
    assert torch.equal(mixture, before[1])
