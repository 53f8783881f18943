"""Shared by several tests: a small model with random weights, synthetic music, and recordings beside a checkout."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.types import Waveform

SHARED = Path(__file__).parents[2] / "shared"

TINY = {
    "mix_name": "mix",
    "instrument_list": ["vocals", "drums", "other"],
    "model_dir": "tiny",
    "sample_rate": 44100,
    "frame_length": 1024,
    "frame_step": 256,
    "T": 64,
    "F": 512,
    "n_channels": 2,
    "separation_exponent": 2,
    "mask_extension": "average",
    "model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4]}},
}
"""A configuration whose network separates a second in milliseconds (into nothing sensible)."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of random weights, in the project's own format."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    configuration = Configuration.load(TINY)
    torch.manual_seed(0)
    save_network(folder, build(configuration), configuration)
    return folder


@pytest.fixture(scope="session")
def music() -> Waveform:
    """Three seconds of synthetic music: float32 (samples, 2) at 44.1 kHz, with an odd number of samples."""
    return synthetic_music(3 * 44100 + 17)


def synthetic_music(n_samples: int, sample_rate: int = 44100, seed: int = 0) -> Waveform:
    """Chords, clicks and noise, panned: float32 (samples, 2), peak 0.5."""
    generator = np.random.default_rng(seed)
    time = np.arange(n_samples)[:, None] / sample_rate
    tones = sum(
        generator.uniform(0.1, 1, 2) * np.sin(2 * np.pi * frequency * time)
        for frequency in generator.uniform(80, 0.2 * sample_rate, 8)
    )
    clicks = (np.arange(n_samples)[:, None] % (sample_rate // 4) < 30) * generator.uniform(-1, 1, (n_samples, 2))
    mixture: np.ndarray = tones + 3 * clicks + 0.1 * generator.standard_normal((n_samples, 2))
    waveform: Waveform = (0.5 * mixture / max(1e-9, np.abs(mixture).max(initial=0.0))).astype(np.float32)
    return waveform


@pytest.fixture
def song(tmp_path: Path, music: Waveform) -> Path:
    """The music as a 16-bit wav file."""
    path = tmp_path / "song.wav"
    soundfile.write(path, music, 44100, subtype="PCM_16")
    return path


@pytest.fixture
def shared() -> Path:
    """The folder of recordings beside the checkout; tests that want it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip("needs the recordings in ../shared, which are not part of the project")
    return SHARED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what tests print or log of names that are no text: reports travel between processes as UTF-8."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report
