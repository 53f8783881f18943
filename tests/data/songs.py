"""Synthetic songs for tests: excerpts in memory, and files."""

from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from spleeter.configuration import Configuration
from spleeter.data.excerpts import SongExcerpts
from spleeter.data.inspection import Inspection
from spleeter.data.song_list import ListedSong
from tests.conftest import TINY, synthetic_music

SMALL = {
    **TINY,
    "instrument_list": ["vocals", "accompaniment"],
    "frame_length": 256,
    "frame_step": 64,
    "F": 128,
    "sample_rate": 8000,
    "chunk_duration": 1.0,
    "n_chunks_per_song": 2,
    "batch_size": 4,
    "learning_rate": 0.01,
    "train_max_steps": 6,
    "save_checkpoints_steps": 3,
    "save_summary_steps": 1,
    "throttle_secs": 0,
}
"""A training that takes a second."""


def configuration(**changes: object) -> Configuration:
    return Configuration.load({**SMALL, **changes})


def in_memory(
    n_songs: int = 3, n_excerpts: int = 2, has_mixture: bool = False, n_samples: int = 8000
) -> list[SongExcerpts]:
    """Excerpts of noise: songs of two stereo stems."""
    generator = np.random.default_rng(5)
    songs = []
    for number in range(n_songs):
        shape = (n_excerpts, 2 + has_mixture, 2, n_samples)
        samples = generator.integers(-8000, 8000, shape, dtype=np.int16)
        song = ListedSong(f"song {number}", f"train.csv, line {number + 2} (song {number})", {}, None)
        scales = np.full(shape[:2], 2.0**-15, np.float32)
        inspection = Inspection(duration=10.0, digest=str(number))
        songs.append(SongExcerpts(song, inspection, shape, scales, partial(np.asarray, samples)))
    return songs


def write_songs(folder: Path, n_songs: int = 3, seconds: float = 4.0, first_seed: int = 0) -> Path:
    """Write songs of two stems as wav files, and the list of them; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["vocals_path,accompaniment_path,duration"]
    for number in range(n_songs):
        for stem, name in enumerate(["vocals", "accompaniment"]):
            waveform = synthetic_music(round(seconds * 8000), 8000, seed=10 * (first_seed + number) + stem)
            (folder / f"song{number}").mkdir(exist_ok=True)
            soundfile.write(folder / f"song{number}" / f"{name}.wav", waveform, 8000, subtype="PCM_16")
        lines.append(f"song{number}/vocals.wav,song{number}/accompaniment.wav,{seconds}")
    csv = folder / "songs.csv"
    csv.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return csv
