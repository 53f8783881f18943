"""Steps of training a second; size and SNR of the formats that a song can be stored in."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.arithmetic import network_gflop, segment_seconds
from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from spleeter.configuration import Configuration
from spleeter.data.augmentation import Transform
from spleeter.data.batches import Batch, Segment
from spleeter.dsp.stft import magnitudes, stft
from spleeter.model.functions import build
from spleeter.training.features import features
from spleeter.training.step import Trainer, flush_denormals
from spleeter.utils.allocator import keep_all_memory

_BATCH = 2
_PASSES = 3
"""Forward, and backward to the inputs and to the weights of each layer, cost about the same."""

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_DB_RANGE = 100.0
"""Of the original's spectrograms in 8 bits."""


def run(setting: Setting) -> list[Table]:
    """Take a few steps with the full-size network of 2 stems, and store a segment in several formats."""
    configuration = training_configuration()
    keep_all_memory()
    rounds = setting.options.n_rounds(5, 2)
    log(f"training: {rounds} steps")
    batch = a_batch(setting, configuration)
    with flush_denormals():
        times = _times(setting, configuration, batch, rounds)
    rows = [_row(name, median(seconds), configuration) for name, seconds in times.items()]
    notes = [
        f"2 stems at full size, {_BATCH} segments a step, Adam. Batch norm with fixed statistics, as the released "
        "models were trained; a network's operations counted three times; a step includes the STFT."
    ]
    formats = _formats(batch, configuration)
    format_notes = [
        "SNR of the magnitudes that the network is given. The original stores decibels in 8 bits, from the loudest "
        f"bin {_DB_RANGE:g} dB down."
    ]
    return [
        Table("Training: one step", rows, notes),
        Table("Training: formats that a stem can be stored in", formats, format_notes),
    ]


def training_configuration() -> Configuration:
    """Two stems at full size, two segments a step."""
    return Configuration.load({**Configuration.load("spleeter:2stems").to_dict(), "batch_size": _BATCH})


def _times(setting: Setting, configuration: Configuration, batch: Batch, rounds: int) -> dict[str, list[float]]:
    work: dict[str, Callable[[], object]] = {
        name: a_step(configuration, setting.device, name, batch) for name in _PRECISIONS
    }
    work["spectra alone"] = lambda: features(batch, configuration, setting.device)
    return in_turn({name: timer(one, setting.device) for name, one in work.items()}, rounds)


def a_batch(setting: Setting, configuration: Configuration) -> Batch:
    """Segments of music, one after the other; the song itself is the first stem, reversed in time the second."""
    n_samples = configuration.segment_samples
    waveform = setting.songs.waveform(_BATCH * n_samples / configuration.sample_rate + 1)[: _BATCH * n_samples]
    song = np.ascontiguousarray(waveform.reshape(_BATCH, n_samples, 2).swapaxes(1, 2))  # (batch, channels, samples)
    stems = np.stack([song, song[..., ::-1]]) / np.float32(2)
    segment = Segment((0, 0), (0, 0), n_samples, Transform.identity(2))
    return Batch(stems.sum(0), stems, (segment,) * _BATCH, ("music",) * _BATCH)


def a_step(configuration: Configuration, device: torch.device, precision: str, batch: Batch) -> Callable[[], object]:
    """A function that takes a step."""
    trainer = Trainer(build(configuration), configuration, device, _PRECISIONS[precision])
    return lambda: trainer.step(batch)


def _row(name: str, seconds: float, configuration: Configuration) -> Row:
    row: Row = {"what": name, "step_s": seconds, "steps_per_s": 1 / seconds}
    row["x_real_time"] = _BATCH * segment_seconds(configuration) / seconds
    if name in _PRECISIONS:
        n_stems = len(configuration.instrument_list)
        row["gflop_per_s"] = _PASSES * _BATCH * n_stems * network_gflop(configuration) / seconds
    return row


def _formats(batch: Batch, configuration: Configuration) -> list[Row]:
    """Size and SNR of a stem's waveform and magnitudes."""
    waveform = batch.stems[0, 0]  # (channels, samples)
    true = _magnitudes(waveform, configuration)
    in_16_bits = np.clip(np.rint(waveform * 2**15), -(2**15), 2**15 - 1) / np.float32(2**15)
    formats = {
        "waveform, 16 bits (this package's)": (2 * waveform.size, _magnitudes(in_16_bits, configuration)),
        "magnitudes, float16": (2 * true.size, true.astype(np.float16).astype(np.float32)),
        "decibels, 8 bits (the original's)": (true.size, _through_8_bits(true)),
    }
    minutes = waveform.shape[-1] / configuration.sample_rate / 60
    return [
        {"what": name, "mb_per_minute": size / 1e6 / minutes, "snr_db": _snr(true, found)}
        for name, (size, found) in formats.items()
    ]


def _magnitudes(waveform: npt.NDArray[np.float32], configuration: Configuration) -> npt.NDArray[np.float32]:
    spectra = stft(waveform, configuration.frame_length, configuration.frame_step)[..., : configuration.F]
    found: npt.NDArray[np.float32] = magnitudes(spectra)
    return found


def _through_8_bits(true: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Quantise to decibels in 8 bits and back, as the original does."""
    decibels = 20 * np.log10(np.maximum(true, 1e-9))
    decibels = np.maximum(decibels, decibels.max() - _DB_RANGE)
    low, high = decibels.min(), decibels.max()
    quantised = ((decibels - low) / (high - low) * 255.9999).astype(np.uint8)
    found: npt.NDArray[np.float32] = 10 ** ((quantised * (high - low) / 255.9999 + low) / 20)
    return found


def _snr(true: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> float:
    exact = true.astype(np.float64)
    return float(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))
