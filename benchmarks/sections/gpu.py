"""What a GPU gives: 4 stems from waveform to waveform in two precisions, and a folder of songs."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks import folder
from benchmarks.clock import in_turn, timer
from benchmarks.models import Model
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, tell
from spleeter.pipeline.stream import Separation

_SECONDS, _QUICK_SECONDS = 180, 12
_SONGS, _QUICK_SONGS = 16, 2
_PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


def run(setting: Setting) -> list[Table]:
    """Measure both; on little music where there is only a CPU."""
    is_small = setting.options.quick or setting.device.type == "cpu"
    seconds, n_songs = (_QUICK_SECONDS, _QUICK_SONGS) if is_small else (_SECONDS, _SONGS)
    model = setting.models.get(4)
    return [
        _of_waveforms(setting, model, seconds),
        folder.measure(setting, model, setting.options.songs or n_songs, seconds),
    ]


def _of_waveforms(setting: Setting, model: Model, seconds: float) -> Table:
    """A waveform on the host to stems on the device."""
    waveform = torch.from_numpy(setting.songs.waveform(seconds).T)
    acts = {name: _separation(setting, model, precision, waveform) for name, precision in _PRECISIONS.items()}
    rounds = setting.options.n_rounds()
    tell(f"gpu: {rounds} rounds of {seconds} s")
    taken = in_turn({name: timer(act, setting.device) for name, act in acts.items()}, rounds)
    exact = acts["float32"]()
    rows: list[Row] = [
        {
            "what": f"{model.label}, {name}",
            "rounds": rounds,
            "median_s": median(taken[name]),
            "x_real_time": seconds / median(taken[name]),
            "snr_db": None if name == "float32" else _snr(exact, act()),
        }
        for name, act in acts.items()
    ]
    return Table(
        f"Waveform to waveform on {setting.device}: {seconds} s", rows, ["SNR: against float32, of all stems."]
    )


def _separation(setting: Setting, model: Model, precision: torch.dtype, waveform: Tensor) -> Callable[[], Tensor]:
    separation = Separation(model.configuration, model.network(), setting.device, precision=precision)
    return lambda: separation.separate(waveform)


def _snr(exact: Tensor, other: Tensor) -> float:
    """Decibels of what is exact over the difference, summed stem by stem in double precision."""
    signal = sum(float(stem.double().square().sum()) for stem in exact)
    noise = sum(float((a.double() - b).square().sum()) for a, b in zip(exact, other, strict=True))
    return float(10 * torch.log10(torch.tensor(signal / noise)))
