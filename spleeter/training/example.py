"""What a network makes of one segment, to be looked at and listened to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spleeter.configuration import Configuration
from spleeter.data.batches import Batch
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.stft import empty_carry, inverse_stft, stft
from spleeter.training.features import features
from spleeter.training.trainer import Trainer


@dataclass(frozen=True)
class Example:
    """The mixture and the estimated stems of a segment, by name.

    Args:
        magnitudes: name -> (channels, T, F).
        sounds: name -> (channels, samples).
    """

    magnitudes: dict[str, Tensor]
    sounds: dict[str, Tensor]


@torch.no_grad()
def example(batch: Batch, trainer: Trainer, configuration: Configuration) -> Example:
    """Separate a batch of one segment, as a separation without overlap would."""
    mixtures, _ = features(batch, configuration, trainer.device)
    estimates = trainer.estimates(mixtures)[:, 0].cpu()  # (stems, channels, T, F)
    masks = ratio_masks(estimates, configuration.separation_exponent)
    spectra = stft(batch.mixtures[0], configuration.frame_length, configuration.frame_step)[:, : configuration.T]
    extension = configuration.mask_extension
    sounds = [_sound(apply_mask(mask, spectra, extension), configuration) for mask in masks]
    names = (configuration.mix_name, *configuration.instrument_list)
    return Example(
        dict(zip(names, [mixtures[0].cpu(), *estimates], strict=True)),
        dict(zip(names, [batch.mixtures[0], *sounds], strict=True)),
    )


def _sound(spectra: Tensor, configuration: Configuration) -> Tensor:
    """Spectra (channels, frames, bins) -> (channels, samples); the first frames fade in."""
    carry = empty_carry((len(spectra),), configuration.frame_length, configuration.frame_step, spectra.real)
    return inverse_stft(spectra, carry, configuration.frame_step)[0]
