"""A folder of songs, files to files, and each stage alone: stages run in parallel, so the slowest limits all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.clock import in_turn
from benchmarks.models import MeasuredModel
from benchmarks.report import Row, Table
from benchmarks.setting import Setting, log
from benchmarks.songs import SAMPLE_RATE, cut, read
from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import Codec
from spleeter.catalogue import jobs as catalogue
from spleeter.catalogue.jobs import Job
from spleeter.catalogue.songs import find_songs
from spleeter.pipeline.options import Output
from spleeter.pipeline.sink import StemFiles
from spleeter.separator import Separator
from spleeter.types import Waveform

_CODECS = (Codec.WAV, Codec.MP3)
_STAGES = ("decode", "device", "encode")
_BLOCK = 1 << 19
"""Samples of a block: about as many as a separation yields, 12 s."""


def measure(setting: Setting, model: MeasuredModel, n_songs: int, seconds: float) -> Table:
    """Separate mp3 files to wav and to mp3 files, the whole and each stage, in turn."""
    songs = _folder(setting, n_songs, seconds)
    separator = Separator(model.descriptor, device=str(setting.device))
    waveform = np.concatenate(list(read(setting.songs.file(seconds, Codec.MP3))))
    stems = separator.separate(waveform)
    n_parallel, rounds = catalogue.songs_in_parallel(setting.device.type), setting.options.n_rounds()
    log(f"gpu: {rounds} rounds of {n_songs} songs, {n_parallel} in parallel")
    rows = []
    for codec in _CODECS:
        jobs = _jobs(songs, setting.folder / "separated", stems, codec)
        stages = _stages(separator, waveform, stems, codec)
        measures = {stage: partial(_seconds, jobs, function, n_parallel) for stage, function in stages.items()}
        rows.append(_row(f"{n_songs} songs, mp3 to {codec}", in_turn(measures, rounds), n_songs * seconds))
    note = (
        f"{model.label}, {n_songs} songs of {seconds:g} s, {n_parallel} in parallel. The stages run in parallel: "
        "one whose share is near 100 % limits the whole."
    )
    return Table("A folder of songs, and each stage alone", rows, [note])


def _folder(setting: Setting, n_songs: int, seconds: float) -> Path:
    folder = setting.folder / "songs"
    folder.mkdir()
    for number in range(n_songs):
        shutil.copy(setting.songs.file(seconds, Codec.MP3), folder / f"{number:03}.mp3")
    return folder


def _jobs(folder: Path, destination: Path, names: Mapping[str, Waveform], codec: Codec) -> list[Job]:
    songs = find_songs([folder], destination).songs
    return catalogue.plan_jobs(songs, destination, Output(codec=codec), tuple(names))


def _stages(
    separator: Separator, waveform: Waveform, stems: Mapping[str, Waveform], codec: Codec
) -> dict[str, Callable[[Job], object]]:
    """The whole of a job, and each of its stages."""

    def whole(job: Job) -> object:
        return separator.separate_to_file(job.song, job.outputs["vocals"].parents[1], codec=codec)

    def decode(job: Job) -> object:
        return sum(len(block) for block in read(job.song))

    def device(job: Job) -> object:
        return sum(len(mixture) for mixture, _ in separator.separate_blocks(cut(waveform, _BLOCK)))

    def encode(job: Job) -> None:
        with StemFiles(AudioAdapter.default(), job.outputs, SAMPLE_RATE, 2, Output(codec=codec)) as files:
            for blocks in zip(*(cut(stem, _BLOCK) for stem in stems.values()), strict=True):
                files.write(dict(zip(stems, blocks, strict=True)))

    return {"whole": whole, "decode": decode, "device": device, "encode": encode}


def _seconds(jobs: list[Job], stage: Callable[[Job], object], n_parallel: int) -> float:
    """Seconds until a stage of all jobs is done, run as a catalogue runs them."""
    start = time.perf_counter()
    if failures := catalogue.run_jobs(jobs, stage, n_parallel):
        raise SystemExit(failures[0].reason)
    return time.perf_counter() - start


def _row(what: str, taken: Mapping[str, list[float]], seconds: float) -> Row:
    whole = median(taken["whole"])
    row: Row = {"what": what, "wall_s": whole, "x_real_time": seconds / whole}
    for stage in _STAGES:
        row |= {f"{stage}_s": median(taken[stage]), f"{stage}_percent": round(100 * median(taken[stage]) / whole)}
    return row
