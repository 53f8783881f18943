"""Stems to be scored: synthetic and real ones."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spleeter.audio.pyav import PyAVAudioAdapter

RATE = 44100
NAMES = ("vocals", "drums", "bass", "other")

Stems = npt.NDArray[np.floating]
"""(stems, samples, channels)"""


def synthetic(n_stems: int = 3, n_samples: int = 12000, n_channels: int = 2, seed: int = 0) -> tuple[Stems, Stems]:
    """References, and estimates that leak, echo and hiss."""
    generator = np.random.default_rng(seed)
    references = generator.standard_normal((n_stems, n_samples, n_channels))
    estimates = references + 0.3 * references.sum(0) + 0.2 * np.roll(references, 2, axis=1)
    return references, estimates + 0.1 * generator.standard_normal(references.shape)


def sixteen_bits(waveforms: Stems) -> Stems:
    """Waveforms rounded to 16 bits."""
    return np.round(waveforms * 32768) / 32768


def leaky(references: Stems, seed: int = 0) -> Stems:
    """Estimates like a model's: each stem with leaks of the others, an echo and hiss; 16 bits."""
    generator = np.random.default_rng(seed)
    leak = 0.8 * references + 0.1 * references.sum(0) + 0.2 * np.roll(references, 5, axis=1)
    return sixteen_bits(leak + 1e-3 * generator.standard_normal(references.shape))


def musdb_file() -> Path:
    """The excerpt of a real song that stempeg ships, in musdb18's format; stempeg is not imported."""
    spec = find_spec("stempeg")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).with_name("data").glob("*.stem.mp4"))


def lossy_stems() -> Stems:
    """Five seconds of a real song's drums, bass, other and vocals, decoded from a lossy file: float32."""
    return np.stack([PyAVAudioAdapter(stream).load(musdb_file(), duration=5)[0] for stream in range(1, 5)])


@pytest.fixture(scope="session")
def real_stems() -> Stems:
    """The same, rounded to 16 bits: float64."""
    return sixteen_bits(lossy_stems().astype(np.float64))


def write_track(folder: Path, stems: Stems, names: tuple[str, ...] = NAMES, ending: str = "wav") -> Path:
    """A folder with an audio file for each stem."""
    folder.mkdir(parents=True)
    for name, stem in zip(names, stems, strict=False):
        soundfile.write(folder / f"{name}.{ending}", stem, RATE)
    return folder
