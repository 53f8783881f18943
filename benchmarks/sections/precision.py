"""SNR of each stem in half precision, and on AMX, against the stem in torch's float32."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np

from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from spleeter.backends.base import Precision
from spleeter.backends.torch import amx
from spleeter.separator import Separator
from spleeter.types import Waveform

_SECONDS, _QUICK_SECONDS = 60, 12


def run(setting: Setting) -> list[Table]:
    """Separate into 2 stems in each precision, and compare."""
    waveform = setting.songs.waveform(_QUICK_SECONDS if setting.options.quick else _SECONDS)
    model = setting.models.get(2)

    def separated(precision: Precision) -> dict[str, Waveform]:
        log(f"precision: {precision}")
        return Separator(model.descriptor, device=str(setting.device), precision=precision).separate(waveform)

    with patch.object(amx, "is_available", lambda: False):
        exact = separated("float32")
    rows: list[Row] = []
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    for precision in precisions if amx.is_available() else precisions[1:]:
        for name, stem in separated(precision).items():
            rows.append({"what": f"{model.label}, {precision}", "stem": name, "snr_db": _snr(exact[name], stem)})
    return [Table("Precision: against torch's float32", rows)]


def _snr(exact: Waveform, other: Waveform) -> float:
    """The energy of the exact stem over that of the difference, in decibels."""
    difference = exact.astype(np.float64) - other
    return float(10 * np.log10(np.sum(exact.astype(np.float64) ** 2) / np.sum(difference**2)))
