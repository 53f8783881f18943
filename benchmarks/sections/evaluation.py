"""BSS Eval v4 by museval and by this package, in turn, and the greatest difference of their scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.clock import in_turn
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from benchmarks.songs import SAMPLE_RATE
from spleeter.evaluation.bss_eval import bss_eval
from spleeter.utils.allocator import keep_freed_memory

_SECONDS, _QUICK_SECONDS = 30, 5
_N_STEMS = 4
_OURS = "ours"

Stems: TypeAlias = npt.NDArray[np.float64]
"""(stems, samples, channels)"""

Scores: TypeAlias = Sequence[npt.NDArray[np.float64]]
"""SDR, ISR, SIR and SAR, each (stems, frames)."""


class Measured(NamedTuple):
    """Elapsed seconds, CPU seconds of all cores together, and the scores."""

    wall: float
    used: float
    scores: Scores


def run(setting: Setting) -> list[Table]:
    """Score the same estimates of four stereo stems."""
    keep_freed_memory()  # as a separation does
    seconds = _QUICK_SECONDS if setting.options.quick else _SECONDS
    references, estimates = _stems(setting, seconds)
    measures: dict[str, Callable[[], Measured]] = {_OURS: partial(_measured, bss_eval, references, estimates)}
    if find_spec("museval") is not None:
        measures["museval"] = partial(_measured, _museval, references, estimates)
    measures[_OURS]()  # warm-up
    rounds = setting.options.n_rounds()
    log(f"evaluation: {rounds} rounds of {' and '.join(measures)}")
    taken = in_turn(measures, rounds)
    note = (
        f"{seconds} s of {_N_STEMS} stereo stems, pieces of a song, with leaks, an echo and hiss as their estimates."
    )
    return [Table("Evaluation: BSS Eval v4", [_row(what, taken, seconds) for what in taken], [note])]


def _stems(setting: Setting, seconds: int) -> tuple[Stems, Stems]:
    """Four pieces of a song, as 16-bit files would hold them, and estimates of them."""
    pieces = np.stack(np.split(setting.songs.waveform(_N_STEMS * seconds), _N_STEMS))
    references = np.round(32768.0 * pieces) / 32768
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(references.shape)
    return references, 0.8 * references + 0.1 * references.sum(0) + 0.2 * np.roll(references, 5, axis=1) + hiss


def _museval(references: Stems, estimates: Stems) -> Scores:
    from museval.metrics import bss_eval as theirs

    scores: Scores = theirs(references, estimates, window=SAMPLE_RATE, hop=SAMPLE_RATE)[:4]
    return scores


def _measured(score: Callable[[Stems, Stems], Scores], references: Stems, estimates: Stems) -> Measured:
    start, used = time.perf_counter(), time.process_time()
    scores = score(references, estimates)
    return Measured(time.perf_counter() - start, time.process_time() - used, scores)


def _row(what: str, taken: dict[str, list[Measured]], seconds: int) -> Row:
    rounds = taken[what]
    wall = median(measured.wall for measured in rounds)
    cores = median(measured.used / measured.wall for measured in rounds)
    row: Row = {"what": what, "wall_s": wall, "cores_used": cores, "x_real_time": seconds / wall}
    if what != _OURS:
        pairs = list(zip(taken[_OURS], rounds, strict=True))
        row["ours_to_theirs"] = median(ours.wall / theirs.wall for ours, theirs in pairs)
        apart = max(_difference(ours.scores, theirs.scores) for ours, theirs in pairs)
        row["greatest_difference_db"] = f"{apart:.0e}"
    return row


def _difference(first: Scores, second: Scores) -> float:
    return max(float(np.nanmax(np.abs(one - other))) for one, other in zip(first, second, strict=True))
