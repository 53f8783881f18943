"""The separation of one segment by a network in training, to look at and listen to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from spleeter.configuration import Configuration
from spleeter.data.batches import Batch
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.stft import inverse_stft, stft
from spleeter.training.features import features
from spleeter.training.step import Trainer

__all__ = ["Example", "separate_example"]


@dataclass(frozen=True)
class Example:
    """The mixture and the estimated stems of a segment, by name.

    Args:
        magnitudes: name -> (channels, T, F).
        waveforms: name -> (channels, samples).
        sample_rate: in hertz.
    """

    magnitudes: dict[str, npt.NDArray[np.float32]]
    waveforms: dict[str, npt.NDArray[np.float32]]
    sample_rate: int


@torch.no_grad()
def separate_example(batch: Batch, trainer: Trainer, configuration: Configuration) -> Example:
    """Separate a batch of one segment, as a separation without overlap would; its first frames fade in."""
    mixtures, _ = features(batch, configuration, trainer.device)
    estimates = trainer.estimate(mixtures)[:, 0].float().cpu().numpy()  # (stems, channels, T, F)
    waveform, length, step = batch.mixtures[0], configuration.frame_length, configuration.frame_step
    spectra = stft(waveform, length, step)[:, : configuration.T]  # (channels, T, bins)
    masks = ratio_masks(estimates, configuration.separation_exponent)
    stems = inverse_stft(apply_mask(masks, spectra, configuration.mask_extension), length, step)
    names = (configuration.mix_name, *configuration.instrument_list)
    return Example(
        dict(zip(names, [mixtures[0].float().cpu().numpy(), *estimates], strict=True)),
        dict(zip(names, [waveform, *stems[..., : configuration.T * step]], strict=True)),
        configuration.sample_rate,
    )
