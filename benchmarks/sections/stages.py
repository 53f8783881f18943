"""Every stage on its own, in turn with a matrix product, which tells how fast the machine was meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmarks.arithmetic import matrix_product, network_gflop, segment_seconds
from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, tell
from benchmarks.songs import SAMPLE_RATE, cut, read, write
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import StreamResampler
from spleeter.backends.torch.inference import prepare_for_inference
from spleeter.configuration import Configuration
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.stft import chunk_length, empty_carry, inverse_stft, magnitudes, stft
from spleeter.dsp.wiener import soft_masks, spatial_model, wiener_filter
from spleeter.model.functions import build
from spleeter.pipeline.engine import HOPS_AT_ONCE
from spleeter.types import Waveform
from spleeter.utils.allocator import keep_freed_memory

_SECONDS, _QUICK_SECONDS = 60, 12
_BLOCK = 1 << 16
_PRODUCT = "matrix product"

Acts: TypeAlias = dict[str, Callable[[], object]]
"""Stage -> what is to be timed."""

Measures: TypeAlias = dict[str, Callable[[], float]]
"""Stage -> a measure of its seconds."""


def run(setting: Setting) -> list[Table]:
    """Measure all stages in turn."""
    keep_freed_memory()  # as a separation does
    seconds = float(_QUICK_SECONDS if setting.options.quick else _SECONDS)
    group_seconds = HOPS_AT_ONCE[setting.device.type] * segment_seconds(_configuration(2))
    rounds = setting.options.n_rounds(5, 2)
    tell(f"stages: {rounds} rounds")
    with torch.inference_mode():
        reading, computing, writing = _reading(setting, seconds), _computing(setting), _writing(setting, seconds)
        stages = {**reading, **computing, **writing}
        taken = in_turn({_PRODUCT: matrix_product(setting.device), **stages}, rounds)
    rows = [_row(what, taken[what], group_seconds if what in computing else seconds) for what in stages]
    return [Table("Stages", rows), _network_table(setting, taken)]


def _row(what: str, times: list[float], seconds: float) -> Row:
    """The times for so many seconds of music."""
    return {
        "what": what,
        "music_s": seconds,
        "median_ms": 1e3 * median(times),
        "x_real_time": seconds / median(times),
    }


def _network_table(setting: Setting, taken: Mapping[str, list[float]]) -> Table:
    gflop = network_gflop(_configuration(2))
    rows: list[Row] = [{"what": _PRODUCT, "gflop_per_s": median(taken[_PRODUCT])}]
    for n_stems in (2, 4):
        times = taken[f"network, {n_stems} stems"]
        rates = [gflop * n_stems * HOPS_AT_ONCE[setting.device.type] / time for time in times]
        share = median(rate / product for rate, product in zip(rates, taken[_PRODUCT], strict=True))
        rows.append(
            {
                "what": f"network, {n_stems} stems",
                "gflop_per_s": median(rates),
                "of_product_percent": round(100 * share),
            }
        )
    note = (
        f"Counted on the plain network: {gflop:.1f} GFLOP for a segment of {_configuration(2).T} frames and a stem. "
        "The product was measured in the same rounds."
    )
    return Table("The network against a matrix product", rows, [note])


def _reading(setting: Setting, seconds: float) -> Measures:
    """Measures of what is done before the network's device comes in."""
    at_48k = cut(np.resize(setting.songs.waveform(seconds), (round(48000 * seconds), 2)), _BLOCK)
    acts: Acts = {
        "decode wav": partial(_exhaust, setting.songs.file(seconds, Codec.WAV)),
        "decode mp3": partial(_exhaust, setting.songs.file(seconds, Codec.MP3)),
        "resample 48 to 44.1 kHz": partial(_resample, at_48k),
    }
    return _timers(acts, torch.device("cpu"))


def _writing(setting: Setting, seconds: float) -> Measures:
    """Measures of encoding one stem."""
    blocks = cut(setting.songs.waveform(seconds), _BLOCK)
    acts: Acts = {
        f"encode {codec}": partial(write, setting.folder / f"encoded.{codec}", blocks, Encoding(codec))
        for codec in (Codec.WAV, Codec.FLAC, Codec.MP3)
    }
    return _timers(acts, torch.device("cpu"))


def _computing(setting: Setting) -> Measures:
    """Measures of what is done on the device, to as many segments as are separated at once."""
    acts = {**_acts(_configuration(2), setting.device), **_acts(_configuration(4), setting.device)}
    return _timers(acts, setting.device)


def _timers(acts: Acts, device: torch.device) -> Measures:
    return {what: timer(act, device, at_least=0.1) for what, act in acts.items()}


def _acts(configuration: Configuration, device: torch.device) -> Acts:
    """The stages in the order of a separation; they are named by their stems where these matter."""
    n_stems, step, length = len(configuration.instrument_list), configuration.frame_step, configuration.frame_length
    chunk = 0.1 * torch.randn(
        (2, chunk_length(configuration.T * HOPS_AT_ONCE[device.type], length, step)), device=device
    )
    network = prepare_for_inference(build(configuration), device)
    spectra, carry = stft(chunk, length, step), empty_carry((2,), length, step, chunk)
    seen = magnitudes(spectra[..., : configuration.F])
    segments = torch.stack(torch.split(seen, configuration.T, dim=1))
    estimates = torch.rand((n_stems, *seen.shape), device=device)
    return {
        "STFT": lambda: stft(chunk, length, step),
        f"network, {n_stems} stems": lambda: network(segments),
        f"masks, {n_stems} stems": lambda: _masks(estimates, spectra, configuration),
        f"Wiener filter, {n_stems} stems": lambda: _wiener_filter(estimates, spectra[..., : configuration.F]),
        f"inverse STFT, {n_stems} stems": lambda: [inverse_stft(spectra, carry, step) for _ in range(n_stems)],
    }


def _masks(estimates: Tensor, spectra: Tensor, configuration: Configuration) -> None:
    for mask in ratio_masks(estimates, configuration.separation_exponent):
        apply_mask(mask, spectra, configuration.mask_extension)


def _wiener_filter(estimates: Tensor, spectra: Tensor) -> None:
    masks = soft_masks(estimates)
    out = spectra.new_empty(estimates.shape)
    wiener_filter(masks, spectra, spatial_model([masks], [spectra], as_norbert=False), out)


def _configuration(n_stems: int) -> Configuration:
    return Configuration.load(f"spleeter:{n_stems}stems")


def _exhaust(path: Path) -> None:
    for _ in read(path):
        pass


def _resample(blocks: list[Waveform]) -> None:
    resampler = StreamResampler(48000, SAMPLE_RATE, 2)
    for block in blocks:
        resampler.push(block)
    resampler.finish()
