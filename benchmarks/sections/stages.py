"""Each stage on its own, in turn with a matrix product, which measures how busy the machine was meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
import torch

from benchmarks.arithmetic import matrix_product, network_gflop, segment_seconds
from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from benchmarks.songs import SAMPLE_RATE, cut, read, write
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import StreamResampler
from spleeter.backends.base import Device, open_device
from spleeter.backends.torch import TorchBackend
from spleeter.configuration import Configuration
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.namespace import array_namespace
from spleeter.dsp.stft import chunk_length, inverse_stft, magnitudes, stft
from spleeter.dsp.wiener import second_moments, soft_masks, spatial_model, wiener_filter
from spleeter.model.functions import build
from spleeter.types import Array, Waveform
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.threads import ThreadMap

_SECONDS, _QUICK_SECONDS = 60, 12
_BLOCK = 1 << 16
_PRODUCT = "matrix product"

Stages: TypeAlias = dict[str, Callable[[], object]]
"""Stage -> the function that is timed."""

Measures: TypeAlias = dict[str, Callable[[], float]]
"""Stage -> a measurement of its seconds."""

Block: TypeAlias = tuple[Array, Array]
"""Of some frames, the stems' estimates (stems, channels, frames, F) and the spectra (channels, frames, bins)."""


def run(setting: Setting) -> list[Table]:
    """Measure all stages in turn."""
    keep_freed_memory()  # as a separation does
    seconds = float(_QUICK_SECONDS if setting.options.quick else _SECONDS)
    device = open_device(str(setting.device))
    chunk_seconds = device.batching.hops * segment_seconds(_configuration(2))
    rounds = setting.options.n_rounds(5, 2)
    log(f"stages: {rounds} rounds")
    reading, writing = _reading(setting, seconds), _writing(setting, seconds)
    computing = _timers({**_stages(_configuration(2), device), **_stages(_configuration(4), device)}, setting.device)
    stages = {**reading, **computing, **writing}
    taken = in_turn({_PRODUCT: matrix_product(setting.device), **stages}, rounds)
    rows = [_row(what, taken[what], chunk_seconds if what in computing else seconds) for what in stages]
    return [Table("Stages", rows), _network_table(taken, device)]


def _row(what: str, times: list[float], seconds: float) -> Row:
    """The times for so many seconds of music."""
    return {
        "what": what,
        "music_s": seconds,
        "median_ms": 1e3 * median(times),
        "x_real_time": seconds / median(times),
    }


def _network_table(taken: Mapping[str, list[float]], device: Device) -> Table:
    gflop = network_gflop(_configuration(2))
    rows: list[Row] = [{"what": _PRODUCT, "gflop_per_s": median(taken[_PRODUCT])}]
    for n_stems in (2, 4):
        times = taken[f"network, {n_stems} stems"]
        rates = [gflop * n_stems * device.batching.hops / time for time in times]
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
    """Measurements of decoding and resampling."""
    at_48k = cut(np.resize(setting.songs.waveform(seconds), (round(48000 * seconds), 2)), _BLOCK)
    stages: Stages = {
        "decode wav": partial(_exhaust, setting.songs.file(seconds, Codec.WAV)),
        "decode mp3": partial(_exhaust, setting.songs.file(seconds, Codec.MP3)),
        "resample 48 to 44.1 kHz": partial(_resample, at_48k),
    }
    return _timers(stages, torch.device("cpu"))


def _writing(setting: Setting, seconds: float) -> Measures:
    """Measurements of encoding one stem."""
    blocks = cut(setting.songs.waveform(seconds), _BLOCK)
    stages: Stages = {
        f"encode {codec}": partial(write, setting.folder / f"encoded.{codec}", blocks, Encoding(codec))
        for codec in (Codec.WAV, Codec.FLAC, Codec.MP3)
    }
    return _timers(stages, torch.device("cpu"))


def _timers(stages: Stages, device: torch.device) -> Measures:
    return {what: timer(function, device, at_least=0.1) for what, function in stages.items()}


def _stages(configuration: Configuration, device: Device) -> Stages:
    """What is done on the device to a chunk, in the order of a separation, blocks of frames in threads as there.

    Stages are named by their number of stems where it matters.
    """
    n_stems, step, length = len(configuration.instrument_list), configuration.frame_step, configuration.frame_length
    on_threads = ThreadMap()
    on_threads.n_threads = torch.get_num_threads() if device.kind == "cpu" else 1
    n_frames = configuration.T * device.batching.hops
    size = device.batching.frames or n_frames
    frames = [slice(first, min(first + size, n_frames)) for first in range(0, n_frames, size)]
    generator = np.random.default_rng(0)
    waveform = np.float32(0.1) * generator.standard_normal((2, chunk_length(n_frames, length, step)), np.float32)
    chunk = device.put(waveform)
    spans = [chunk[:, block.start * step : (block.stop - 1) * step + length] for block in frames]
    spectra = [stft(span, length, step) for span in spans]
    estimates = device.put(generator.random((n_stems, 2, n_frames, configuration.F), np.float32))
    blocks = [(estimates[..., block, :], of_block) for block, of_block in zip(frames, spectra, strict=True)]
    stem_spectra = [_masked(configuration, block) for block in blocks]
    backend, segments = TorchBackend(build(configuration), device), _segments(configuration, spectra)
    return {
        "STFT": lambda: on_threads(lambda span: stft(span, length, step), spans),
        f"network, {n_stems} stems": lambda: backend.estimate(segments),
        f"masks, {n_stems} stems": lambda: on_threads(partial(_masked, configuration), blocks),
        f"Wiener filter, {n_stems} stems": lambda: _wiener_filter(configuration, blocks, on_threads),
        f"inverse STFT, {n_stems} stems": lambda: on_threads(
            lambda of_block: inverse_stft(of_block, length, step), stem_spectra
        ),
    }


def _segments(configuration: Configuration, spectra: Sequence[Array]) -> Array:
    """The magnitudes (batch, channels, T, F) of consecutive spectra (channels, frames, bins)."""
    xp = array_namespace(spectra[0])
    mixture = xp.concat([magnitudes(block[..., : configuration.F]) for block in spectra], axis=1)
    starts = range(0, mixture.shape[1], configuration.T)
    return xp.stack([mixture[:, start : start + configuration.T, :] for start in starts])


def _masked(configuration: Configuration, block: Block) -> Array:
    estimates, spectra = block
    masks = ratio_masks(estimates, configuration.separation_exponent)
    return apply_mask(masks, spectra, configuration.mask_extension)


def _wiener_filter(configuration: Configuration, blocks: Sequence[Block], on_threads: ThreadMap) -> None:
    F = configuration.F
    moments = on_threads(lambda block: second_moments(soft_masks(block[0]), block[1][..., :F]), blocks)
    model = spatial_model(moments, as_norbert=False)
    on_threads(lambda block: wiener_filter(soft_masks(block[0]), block[1][..., :F], model, block[0].shape[0]), blocks)


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
