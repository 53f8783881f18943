"""Arrays to arrays with a loaded model: the speed for a program that keeps its `Separator`."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.clock import in_turn, timer
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from benchmarks.songs import SAMPLE_RATE
from spleeter.separator import Separator
from spleeter.types import Waveform

_SECONDS, _QUICK_SECONDS = 180, 15


_WAYS: dict[str, dict[str, Any]] = {
    "exact": {"exact": True},
    "fast": {"quality": "fast", "bandwidth": "full"},
    "balanced": {"quality": "balanced", "bandwidth": "full"},
    "balanced, bfloat16": {"quality": "balanced", "bandwidth": "full", "precision": "bfloat16"},
    "best": {"quality": "best", "bandwidth": "full"},
}


def run(setting: Setting) -> list[Table]:
    """Separate a song with 2 and 4 stems, in every way, in turn."""
    seconds = _QUICK_SECONDS if setting.options.quick else _SECONDS
    waveform = setting.songs.waveform(seconds)
    measures = {(n_stems, way): _measure(setting, n_stems, way, waveform) for n_stems in (2, 4) for way in _WAYS}
    rounds = setting.options.n_rounds(3, 2)
    log(f"separation: {rounds} rounds of {seconds} s")
    taken = in_turn(measures, rounds)
    rows: list[Row] = [
        {
            "what": f"{setting.models.get(n_stems).label}, {way}",
            "rounds": rounds,
            "median_s": median(times),
            "min_s": min(times),
            "x_real_time": seconds / median(times),
            "times_exact": median(time / exact for time, exact in zip(times, taken[n_stems, "exact"], strict=True)),
        }
        for (n_stems, way), times in taken.items()
    ]
    return [Table(f"Separation: {seconds} s, arrays to arrays, the model loaded", rows)]


def _measure(setting: Setting, n_stems: int, way: str, waveform: Waveform) -> Callable[[], float]:
    """A measurement of one separation, after a warm-up on the first 15 s.

    The separator exists for the measurement alone: while there are several, each slows the others.
    """
    descriptor = setting.models.get(n_stems).descriptor

    def measured() -> float:
        separator = Separator(descriptor, device=str(setting.device), **_WAYS[way])
        separator.separate(waveform[: _QUICK_SECONDS * SAMPLE_RATE])
        return timer(lambda: separator.separate(waveform), setting.device, warm_up=False)()

    return measured
