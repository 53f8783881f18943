"""Borders of segments: how far the level of a steady tone steps there, for several overlaps."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from benchmarks.songs import SAMPLE_RATE
from spleeter.pipeline.options import Quality
from spleeter.separator import Separator
from spleeter.types import Waveform

_SECONDS = 40  # three borders of segments that lie end to end
_OVERLAPS = (0.0, 0.0625, 0.125, 0.25, 0.5)
_PARTIALS = (220.0, 440.0, 660.0, 880.0, 1320.5)  # Hz
_STEP = SAMPLE_RATE // 10

Levels: TypeAlias = npt.NDArray[np.float64]
"""dB, every tenth of a second."""


def run(setting: Setting) -> list[Table]:
    """Separate a steady chord, and measure the levels of its stems."""
    model, chord = setting.models.get(2), _chord()
    rows: list[Row] = []
    for overlap in _OVERLAPS:
        log(f"borders: overlap {overlap:g}")
        separator = Separator(model.descriptor, device=str(setting.device), quality=Quality(overlap=overlap))
        row: Row = {"what": f"{model.label}, overlap {overlap:g}"}
        for name, stem in separator.separate(chord).items():
            levels = _levels(stem)[40:-40]  # away from where the chord begins and ends
            row[f"{name}_step_db"] = float(np.abs(np.diff(levels)).max())
        rows.append(row)
    note = f"A steady chord of {_SECONDS} s, of {', '.join(f'{hertz:g}' for hertz in _PARTIALS)} Hz."
    return [Table("Borders: the greatest change of level from one tenth of a second to the next", rows, [note])]


def _chord() -> Waveform:
    time = np.arange(_SECONDS * SAMPLE_RATE)[:, None] / SAMPLE_RATE
    mono = sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in _PARTIALS)
    return np.asarray(mono * [1.0, 0.8], np.float32)


def _levels(stem: Waveform) -> Levels:
    tenths = stem[: len(stem) // _STEP * _STEP].astype(np.float64).reshape(-1, _STEP * stem.shape[1])
    levels: Levels = 10 * np.log10((tenths**2).mean(axis=1) + 1e-12)
    return levels
