"""What a hop costs beside the network on a CPU, counted and not timed: so no change makes it dearer unseen.

Counted are the frames that are transformed, and the memory that NumPy holds at most: blocks of frames are there to
keep temporaries small. Where these values fall, lower the bounds here.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest

from spleeter.backends.base import HostDevice
from spleeter.configuration import Configuration
from spleeter.dsp.stft import chunk_length
from spleeter.dsp.tiling import Tiling
from spleeter.pipeline.engine import Chunk, Engine
from spleeter.pipeline.options import Quality

T, F, BINS, STEP = 512, 1024, 2049, 1024
"""Of the released models."""

FOUR = ("vocals", "drums", "bass", "other")
MB = 1 << 20


class Shares:
    """A backend that gives every stem the same share."""

    name, n_threads = "shares", 1

    def __init__(self, n_stems: int) -> None:
        self.device, self._n_stems = HostDevice(), n_stems

    def estimate(self, magnitudes: np.ndarray) -> np.ndarray:
        return np.stack([magnitudes] * self._n_stems)


@dataclass
class Cost:
    """Of a hop: transformed frames of all channels, forwards and back, and the highest memory beyond what is held."""

    n_forward: int = 0
    n_inverse: int = 0
    peak_mb: float = 0.0


def cost_of_a_hop(monkeypatch: pytest.MonkeyPatch, quality: Quality, n_stems: int = 2, **changes: object) -> Cost:
    """Cost of one hop in the steady state, computed by one thread."""
    keys = {**Configuration.load("spleeter:2stems").to_dict(), "instrument_list": FOUR[:n_stems], **changes}
    configuration = Configuration.load(keys)
    tiling = Tiling.of(configuration.T, quality.overlap, quality.shifts)
    engine = Engine(configuration, Shares(n_stems), tiling, quality.mwf)
    n_samples = chunk_length(tiling.hop + tiling.n_ahead, configuration.frame_length, configuration.frame_step)
    waveform = np.random.default_rng(0).standard_normal((2, n_samples), np.float32)
    (first,) = engine([Chunk(waveform, engine.empty_carry(), 1, n_threads=1)])
    cost = Cost()

    def counting(transform: Callable[..., Any], count: str) -> Callable[..., Any]:
        def counted(frames: np.ndarray, *arguments: Any, **keywords: Any) -> Any:
            setattr(cost, count, getattr(cost, count) + prod(frames.shape[:-1]))
            return transform(frames, *arguments, **keywords)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(np.fft, "rfft", counting(np.fft.rfft, "n_forward"))
        patch.setattr(np.fft, "irfft", counting(np.fft.irfft, "n_inverse"))
        tracemalloc.start()
        try:
            engine([Chunk(waveform, first.carry, 1, n_threads=1)])
            cost.peak_mb = tracemalloc.get_traced_memory()[1] / MB
        finally:
            tracemalloc.stop()
    return cost


def held_mb(n_stems: int, n_synthesised: int, hop: int) -> float:
    """What is held at the end: the hop's spectra, estimates for the segment, synthesised blocks, and the stems."""
    spectra, estimates = 8 * 2 * hop * BINS, 4 * n_stems * 2 * T * F
    samples = 4 * 2 * hop * STEP * (n_synthesised + n_stems)
    return (spectra + estimates + samples) / MB


@pytest.mark.parametrize("n_stems", [2, 4])
@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_every_frame_is_transformed_once_and_the_last_of_average_masks_not_at_all(
    monkeypatch: pytest.MonkeyPatch, extension: str, mwf: bool, n_stems: int
) -> None:
    """It is what the others leave of the mixture."""
    cost = cost_of_a_hop(monkeypatch, Quality(mwf=mwf), n_stems, mask_extension=extension)
    assert cost.n_forward == 2 * T
    assert cost.n_inverse == 2 * T * (n_stems if extension == "zeros" else n_stems - 1)


def test_overlap_and_shifts_are_transformed_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of segments share the STFT, and only the mean of their estimates is synthesised."""
    quality = Quality.preset("best")
    tiling = Tiling.of(T, quality.overlap, quality.shifts)
    cost = cost_of_a_hop(monkeypatch, quality, mask_extension="average")
    assert cost.n_forward == 2 * (tiling.hop + tiling.n_ahead)
    assert cost.n_inverse == 2 * tiling.hop


@pytest.mark.parametrize("n_stems", [2, 4])
@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_memory_is_what_is_held_and_the_temporaries_of_a_block(
    monkeypatch: pytest.MonkeyPatch, preset: str, n_stems: int
) -> None:
    """A temporary of a hop, of one stem, would be 4 MB."""
    quality = Quality.preset(preset)
    cost = cost_of_a_hop(monkeypatch, quality, n_stems, mask_extension="average")
    held = held_mb(n_stems, n_stems - 1, Tiling.of(T, quality.overlap).hop)
    assert cost.peak_mb < held + 3
