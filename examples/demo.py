"""Separate a real song with the released 2stems model, and show how close the stems come to the true ones.

    python examples/demo.py demo-output

The song is the excerpt of "Falcon 69" by The Easton Ellises that the package `stempeg` ships: a file with five
streams, the mixture and the four stems it was mixed from.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import numpy as np

from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.separator import Separator
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


def sdr(reference: Waveform, estimate: Waveform) -> float:
    """Signal-to-distortion ratio in decibels over the whole excerpt, as in the Music Demixing Challenge 2021."""
    return float(10 * np.log10(np.sum(reference**2) / np.sum((reference - estimate) ** 2)))


def draw(sounds: dict[str, Waveform], sample_rate: int, path: Path) -> None:
    """Spectrograms of some waveforms, one below the other."""
    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(sounds), sharex=True, sharey=True, figsize=(11, 2.1 * len(sounds)))
    for axis, (title, waveform) in zip(axes, sounds.items(), strict=True):
        axis.specgram(
            waveform.mean(axis=1) + 1e-9, NFFT=2048, noverlap=1536, Fs=sample_rate, vmin=-140, vmax=-40, cmap="magma"
        )
        axis.set_ylim(0, 16000)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_ylabel("Hz")
    axes[-1].set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(folder: Path) -> None:
    """Separate, save, measure, draw."""
    song = find_song()
    separator = Separator("spleeter:2stems")
    print(f"Separating {song.name} on {separator.device} ...")
    paths = separator.separate_to_file(song, folder, filename_format="{instrument}.{codec}")

    mixture = load(song, STREAMS["mixture"])
    sounds = {"mixture": mixture}
    print(f"{'':15}{'SDR':>10}{'of the mixture':>18}")
    for name, path in paths.items():
        truth, estimate = load(song, STREAMS[name]), PyAVAudioAdapter().load(path)[0]
        print(f"{name:15}{sdr(truth, estimate):7.2f} dB{sdr(truth, mixture):15.2f} dB")
        sounds |= {f"{name}, separated": estimate, f"{name}, true": truth}
    draw(sounds, separator.sample_rate, folder / "spectrograms.png")
    print(f"Listen to the stems and look at spectrograms.png in {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
