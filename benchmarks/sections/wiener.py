"""The multichannel Wiener filter against norbert's, which the original uses, on the same estimates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, tell
from spleeter.dsp.wiener import soft_masks, spatial_model, wiener_filter
from spleeter.utils.allocator import keep_freed_memory

_FRAMES, _PART, _F, _BINS = 2048, 512, 1024, 2049
"""48 s of the released models, in segments; the network estimates F of the STFT's bins, the others have none."""


def run(setting: Setting) -> list[Table]:
    """Filter a group of 2 and of 4 stems."""
    keep_freed_memory()  # as a separation does
    rounds = setting.options.n_rounds(5)
    tell(f"wiener: {rounds} rounds")
    return [
        Table(
            "Wiener filter: one step of expectation-maximisation",
            [row for n_stems in (2, 4) for row in _rows(setting, n_stems, rounds)],
            [
                f"{_FRAMES} frames of {_BINS} bins in stereo, noise, with estimates below bin {_F}; on the CPU. "
                f"norbert is given all of it, as by the original; ours filters in parts what has estimates."
            ],
        )
    ]


def _rows(setting: Setting, n_stems: int, rounds: int) -> list[Row]:
    generator = torch.Generator().manual_seed(n_stems)
    mixture = 10 * torch.randn((2, _FRAMES, _BINS), dtype=torch.complex64, generator=generator)
    magnitudes = 10 * torch.rand((n_stems, 2, _FRAMES, _F), generator=generator)
    acts: dict[str, Callable[[], np.ndarray]] = {"ours": partial(_ours, magnitudes, mixture)}
    if find_spec("norbert") is not None:
        acts["norbert"] = partial(_norbert, magnitudes, mixture)
    taken = in_turn({what: timer(act, torch.device("cpu")) for what, act in acts.items()}, rounds)
    rows: list[Row] = [{"what": f"{n_stems} stems, {what}", "median_s": median(taken[what])} for what in acts]
    if "norbert" in taken:
        pairs = zip(taken["ours"], taken["norbert"], strict=True)
        rows[1]["ours_to_theirs"] = median(ours / theirs for ours, theirs in pairs)
        expected, got = acts["norbert"](), acts["ours"]()
        rows[1]["snr_db"] = float(20 * np.log10(np.linalg.norm(expected) / np.linalg.norm(expected - got)))
    return rows


def _ours(magnitudes: Tensor, mixture: Tensor) -> np.ndarray:
    with torch.inference_mode():
        masks = [soft_masks(part) for part in torch.split(magnitudes, _PART, dim=2)]
        parts = torch.split(mixture, _PART, dim=1)
        model = spatial_model(masks, [part[..., :_F] for part in parts], as_norbert=True)
        out = mixture.new_zeros((len(magnitudes), *mixture.shape))
        for mask, part, stems in zip(masks, parts, torch.split(out, _PART, dim=2), strict=True):
            wiener_filter(mask, part[..., :_F], model, stems[..., :_F])
    stems_of_all: np.ndarray = out.numpy()
    return stems_of_all


def _norbert(magnitudes: Tensor, mixture: Tensor) -> np.ndarray:
    """norbert changes what it is given, and has the axes (frames, bins, channels, stems)."""
    wide = pad(magnitudes, (0, _BINS - _F))
    given = wide.permute(2, 3, 1, 0).numpy().copy(), mixture.permute(1, 2, 0).numpy().copy()
    stems: np.ndarray = import_module("norbert").wiener(*given, iterations=1)
    return stems.transpose(3, 2, 0, 1)
