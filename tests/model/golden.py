"""The golden cases beside tests/golden/record.py, which says what they hold."""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/config.json"))


def magnitudes(T: int, F: int) -> np.ndarray:
    """Inputs of the networks: float32 (batch, channels, T, F)."""
    array: np.ndarray = np.load(GOLDEN / "magnitudes.npy")[:, :, :T, :F]
    return array


def snr(expected: np.ndarray, actual: np.ndarray) -> float:
    """The signal-to-noise ratio: the energy of the expected values over that of the error, in decibels."""
    exact = expected.astype(np.float64)
    return float(10 * np.log10(np.sum(exact**2) / np.sum((exact - actual) ** 2)))
