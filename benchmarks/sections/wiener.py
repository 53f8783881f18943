"""The multichannel Wiener filter against norbert's, which the original uses, on the same estimates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch

from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from spleeter.backends.base import HostDevice
from spleeter.dsp.wiener import Moments, second_moments, soft_masks, spatial_model, wiener_filter
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.threads import ThreadMap

_FRAMES, _F, _BINS = 2048, 1024, 2049
"""48 s of the released models; the network estimates F of the STFT's bins, the others have none."""


def run(setting: Setting) -> list[Table]:
    """Filter an excerpt with 2 and with 4 stems."""
    keep_freed_memory()  # as a separation does
    rounds = setting.options.n_rounds(5)
    log(f"wiener: {rounds} rounds")
    on_threads = ThreadMap()
    on_threads.n_threads = torch.get_num_threads()
    note = (
        f"{_FRAMES} frames of {_BINS} bins in stereo, noise, with estimates below bin {_F}; on the CPU. "
        "norbert is given all of it, as by the original; ours filters the bins with estimates, in blocks of frames."
    )
    rows = [row for n_stems in (2, 4) for row in _rows(n_stems, rounds, on_threads)]
    return [Table("Wiener filter: one step of expectation-maximisation", rows, [note])]


def _rows(n_stems: int, rounds: int, on_threads: ThreadMap) -> list[Row]:
    generator = np.random.default_rng(n_stems)
    shape = 2, _FRAMES, _BINS
    mixture = generator.standard_normal(shape, np.float32) + 1j * generator.standard_normal(shape, np.float32)
    mixture *= 10 / np.sqrt(2)
    magnitudes = 10 * generator.random((n_stems, 2, _FRAMES, _F), np.float32)
    filters: dict[str, Callable[[], np.ndarray]] = {"ours": partial(_ours, magnitudes, mixture, on_threads)}
    if find_spec("norbert") is not None:
        filters["norbert"] = partial(_norbert, magnitudes, mixture)
    taken = in_turn({what: timer(function, torch.device("cpu")) for what, function in filters.items()}, rounds)
    rows: list[Row] = [{"what": f"{n_stems} stems, {what}", "median_s": median(taken[what])} for what in filters]
    if "norbert" in taken:
        pairs = zip(taken["ours"], taken["norbert"], strict=True)
        rows[1]["ours_to_theirs"] = median(ours / theirs for ours, theirs in pairs)
        expected, got = filters["norbert"](), filters["ours"]()
        rows[1]["snr_db"] = float(20 * np.log10(np.linalg.norm(expected) / np.linalg.norm(expected - got)))
    return rows


def _ours(magnitudes: np.ndarray, mixture: np.ndarray, on_threads: ThreadMap) -> np.ndarray:
    """The stems (stems, channels, frames, bins), by blocks of frames in threads, as a separation does it."""
    size = HostDevice().batching.frames or _FRAMES
    blocks = [slice(first, first + size) for first in range(0, _FRAMES, size)]
    stems = np.zeros((len(magnitudes), *mixture.shape), np.complex64)

    def moments(block: slice) -> Moments:
        return second_moments(soft_masks(magnitudes[..., block, :]), mixture[:, block, :_F])

    model = spatial_model(on_threads(moments, blocks), as_norbert=True)

    def filter_block(block: slice) -> None:
        masks = soft_masks(magnitudes[..., block, :])
        stems[..., block, :_F] = wiener_filter(masks, mixture[:, block, :_F], model, len(masks))

    on_threads(filter_block, blocks)
    return stems


def _norbert(magnitudes: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """The same by norbert, which has the axes (frames, bins, channels, stems), and changes its arguments."""
    padded = np.pad(magnitudes, [(0, 0)] * 3 + [(0, _BINS - _F)])
    arguments = padded.transpose(2, 3, 1, 0).copy(), mixture.transpose(1, 2, 0).copy()
    stems: np.ndarray = import_module("norbert").wiener(*arguments, iterations=1)
    return stems.transpose(3, 2, 0, 1)
