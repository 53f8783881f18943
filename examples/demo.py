"""Separate a real song with the released 2stems model, and show how close the stems come to the true ones.

    python examples/demo.py demo-output

The song is the excerpt of "Falcon 69" by The Easton Ellises that the package `stempeg` ships: a file with five
streams, the mixture and the four stems it was mixed from.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from spleeter import Output, Separator
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.evaluation.sdr import sdr
from spleeter.types import Waveform

STREAMS = {"mixture": [0], "accompaniment": [1, 2, 3], "vocals": [4]}  # drums, bass and other accompany


def find_song() -> Path:
    """The example that stempeg ships, found without importing stempeg, which would ask for an ffmpeg."""
    spec = find_spec("stempeg")
    if spec is None or spec.origin is None:
        raise SystemExit("the demo's song is in the package stempeg: pip install stempeg")
    return next(Path(spec.origin).with_name("data").glob("*.stem.mp4"))


def load(song: Path, streams: list[int]) -> Waveform:
    """The sum of some of a file's audio streams: float32 (samples, channels)."""
    waveforms = [PyAVAudioAdapter(stream=stream).load(song)[0] for stream in streams]
    total: Waveform = np.sum(waveforms, axis=0)
    return total


def score(truth: Waveform, estimate: Waveform) -> str:
    """The signal-to-distortion ratio over the whole excerpt, for a table."""
    return f"{float(sdr(torch.from_numpy(truth)[None], torch.from_numpy(estimate)[None])):10.2f} dB"


def main(folder: Path) -> None:
    """Separate, save, plot and score."""
    song = find_song()
    separator = Separator("spleeter:2stems")
    print(f"Separating {song.name} on {separator.device} ...")
    output = Output(filename_format="{instrument}.{codec}", plot=True)
    paths = separator.separate_to_file(song, folder, output=output)

    mixture = load(song, STREAMS["mixture"])
    exact = Separator("spleeter:2stems", exact=True).separate(mixture)
    print(f"{'SDR':15}{'mixture':>13}{'--exact':>13}{'separated':>13}")
    for name in separator.instruments:
        truth, estimate = load(song, STREAMS[name]), PyAVAudioAdapter().load(paths[name])[0]
        print(f"{name:15}{score(truth, mixture)}{score(truth, exact[name])}{score(truth, estimate)}")
    print(f"Listen to the stems and look at spectrograms.png in {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
