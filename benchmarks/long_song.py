"""Peak memory and speed of the whole command against the length of a song.

    python benchmarks/long_song.py --minutes 1 10 120 --params spleeter:2stems

Each length is one run of `spleeter separate` on a 16-bit stereo wav file of synthetic music, from file to files, with
the operating system's own account of the finished process. Prints a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 44100


def write_song(path: Path, minutes: float) -> None:
    """Write chords, noise and clicks that change every ten seconds, block by block."""
    generator = np.random.default_rng(0)
    n_left = round(minutes * 60 * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, "PCM_16", format="RF64") as file:
        while n_left:
            count = min(n_left, 10 * SAMPLE_RATE)
            time_axis = np.arange(count)[:, None] / SAMPLE_RATE
            block = 0.02 * generator.standard_normal((count, 2))
            for frequency in generator.uniform(60, 6000, 6):
                block += generator.uniform(0, 0.1, 2) * np.sin(2 * np.pi * frequency * time_axis)
            block[:: SAMPLE_RATE // 4] += 0.3
            file.write(block.astype(np.float32))
            n_left -= count


def measure(minutes: float, params: str, folder: Path) -> dict[str, float]:
    """Run the command once; seconds of wall time and peak resident memory in MB."""
    song = folder / "song.wav"
    write_song(song, minutes)
    command = [sys.executable, "-m", "spleeter", "separate", "-p", params, "-o", str(folder / "out"), str(song)]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    frames = {soundfile.info(path).frames for path in (folder / "out" / "song").iterdir()}
    assert frames == {round(minutes * 60 * SAMPLE_RATE)}, "stems are as long as the song"
    peak = usage.ru_maxrss / (1e6 if platform.system() == "Darwin" else 1e3)
    return {"minutes": minutes, "wall_s": wall, "times_real_time": minutes * 60 / wall, "peak_mb": peak}


def main() -> None:
    """Measure every length and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--params", default="spleeter:2stems")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{arguments.params}, {os.cpu_count()} processors\n minutes   wall s   x real time   peak MB", flush=True)
    for minutes in arguments.minutes:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(minutes, arguments.params, Path(folder))
        rows.append(row)
        print("{minutes:8g} {wall_s:8.1f} {times_real_time:13.1f} {peak_mb:9.0f}".format(**row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"params": arguments.params, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
