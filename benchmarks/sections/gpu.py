"""One GPU: 4 stems from waveform to waveform in two precisions, and a folder of songs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks import folder
from benchmarks.clock import in_turn, timer
from benchmarks.models import MeasuredModel
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from spleeter.backends.base import open_device
from spleeter.pipeline.stream import Pipeline
from spleeter.types import Waveform

_SECONDS, _QUICK_SECONDS = 180, 12
_SONGS, _QUICK_SONGS = 16, 2
_PRECISIONS = ("float32", "float16")

Blocks: TypeAlias = list[npt.NDArray[np.float32]]
"""Consecutive stems (stems, samples, channels)."""


def run(setting: Setting) -> list[Table]:
    """Measure both; on little music where there is only a CPU."""
    is_small = setting.options.quick or setting.device.type == "cpu"
    seconds, n_songs = (_QUICK_SECONDS, _QUICK_SONGS) if is_small else (_SECONDS, _SONGS)
    model = setting.models.get(4)
    return [
        _of_waveforms(setting, model, seconds),
        folder.measure(setting, model, setting.options.songs or n_songs, seconds),
    ]


def _of_waveforms(setting: Setting, model: MeasuredModel, seconds: float) -> Table:
    """A waveform on the host to stems on the host."""
    waveform = setting.songs.waveform(seconds)
    separations = {precision: _separation(setting, model, precision, waveform) for precision in _PRECISIONS}
    rounds = setting.options.n_rounds()
    log(f"gpu: {rounds} rounds of {seconds} s")
    taken = in_turn({name: timer(separate, setting.device) for name, separate in separations.items()}, rounds)
    exact = separations["float32"]()
    rows: list[Row] = [
        {
            "what": f"{model.label}, {name}",
            "rounds": rounds,
            "median_s": median(taken[name]),
            "x_real_time": seconds / median(taken[name]),
            "snr_db": None if name == "float32" else _snr(exact, separate()),
        }
        for name, separate in separations.items()
    ]
    return Table(
        f"Waveform to waveform on {setting.device}: {seconds} s", rows, ["SNR: against float32, of all stems."]
    )


def _separation(setting: Setting, model: MeasuredModel, precision: str, waveform: Waveform) -> Callable[[], Blocks]:
    backend = model.load(open_device(str(setting.device)), precision)
    pipeline = Pipeline(model.configuration, backend)
    return lambda: [block.fetch() for block in pipeline.separate([waveform])]


def _snr(exact: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """The energy of the exact stems over that of the difference, in decibels, summed in double precision."""
    signal = sum(float(np.sum(np.square(block, dtype=np.float64))) for block in exact)
    noise = sum(float(np.sum(np.square(a.astype(np.float64) - b))) for a, b in zip(exact, other, strict=True))
    return float(10 * np.log10(signal / noise))
