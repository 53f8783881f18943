"""Peak memory of the command against the length of the song."""

from __future__ import annotations

from benchmarks import processes
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log


def run(setting: Setting) -> list[Table]:
    """Run the command once for each length."""
    rows = [
        _row(setting, minutes) for minutes in setting.options.lengths(full=(1.0, 10.0, 60.0), quick=(0.1, 0.5, 2.0))
    ]
    note = "A 16-bit wav file to wav files, one run for each length; start-up is in the time."
    return [Table("Memory of the command", rows, [note])]


def _row(setting: Setting, minutes: float) -> Row:
    model = setting.models.get(2)
    log(f"memory: {model.label}, {minutes:g} min")
    usage = processes.separate(model, setting.songs.file(60 * minutes), device=setting.options.device)
    return {
        "what": model.label,
        "minutes": minutes,
        "peak_mb": usage.peak_mb,
        "wall_s": usage.wall_s,
        "x_real_time": 60 * minutes / usage.wall_s,
    }
