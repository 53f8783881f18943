"""The whole command, from a file to files, start-up included."""

from __future__ import annotations

from benchmarks import processes
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from spleeter.audio.codec import Codec

_LONG_MINUTES = 10
"""Longer songs are separated once."""


def run(setting: Setting) -> list[Table]:
    """Run every model on every length; mp3 for the shortest only, unless --all is given."""
    lengths = setting.options.lengths(full=(3.0, 60.0), quick=(0.25,))
    rows = [
        _row(setting, n_stems, minutes, codec)
        for minutes in lengths
        for n_stems in (2, 4)
        for codec in (Codec.WAV, Codec.MP3)
        if codec is Codec.WAV or minutes == lengths[0] or setting.options.all
    ]
    return [Table("Command: a wav file to files", rows, ["CPU seconds are those of all cores together."])]


def _row(setting: Setting, n_stems: int, minutes: float, codec: Codec) -> Row:
    model = setting.models.get(n_stems)
    log(f"command: {model.label}, {minutes:g} min, {codec}")
    song = setting.songs.file(60 * minutes)
    rounds = setting.options.n_rounds() if minutes <= _LONG_MINUTES else 1
    usage = processes.typical([processes.separate(model, song, codec, setting.options.device) for _ in range(rounds)])
    speed = {"x_real_time": 60 * minutes / usage["wall_s"]}
    return {"what": model.label, "minutes": minutes, "codec": str(codec), "rounds": rounds, **usage, **speed}
