"""The original package's outputs, sample for sample."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.configuration import Configuration
from spleeter.model.provider import ModelProvider
from spleeter.model.provider.folder import flaw
from spleeter.separator import Separator
from spleeter.types import Waveform
from tests.golden import released
from tests.model.golden import CASES, GOLDEN, snr

MINIMUM_SNR = 99.0
"""dB. 90 is promised; that these are reached is what rounding in another order leaves, and less means a mistake."""


def check_released(descriptor: str) -> None:
    """Skip where the released weights of a model are not there."""
    if flaw(ModelProvider.default().locate(Configuration.load(descriptor).model_dir)):
        pytest.skip("needs the released 2stems model: spleeter models download 2stems")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_small_networks_recorded_from_the_original(case: Path) -> None:
    """See golden/record.py for how they were made."""
    separator = Separator(str(case / "config.json"), exact=True)
    signal: Waveform = np.load(GOLDEN / "signal.npy")
    stems = separator.separate(signal)
    with np.load(case / "expected.npz") as expected:
        for name, stem in zip(separator.instruments, expected["stems"], strict=True):
            assert stems[name].shape == stem.shape
            assert snr(stem, stems[name]) >= MINIMUM_SNR, name


def test_wiener_filter_recorded_from_the_original() -> None:
    separator = Separator(str(GOLDEN / "unet-2stems" / "config.json"), MWF=True, exact=True)
    stems = separator.separate(np.load(GOLDEN / "signal.npy"))
    with np.load(GOLDEN / "unet-2stems" / "expected.npz") as expected:
        for name, stem in zip(separator.instruments, expected["stems_mwf"], strict=True):
            assert snr(stem, stems[name]) >= MINIMUM_SNR, name


@pytest.mark.parametrize("case", released.CASES)
def test_released_weights_recorded_from_the_original(case: str) -> None:
    """See golden/released.py for how they were made."""
    descriptor, mwf = released.CASES[case]
    check_released(descriptor)
    separator = Separator(descriptor, MWF=mwf, exact=True)
    signal: Waveform = released.signal()  # type: ignore[no-untyped-call]
    stems = separator.separate(signal)
    with np.load(released.RECORDING) as expected:
        for name, stem in zip(separator.instruments, expected[case], strict=True):
            assert stems[name].shape == signal.shape
            assert snr(stem, stems[name][:: released.EVERY]) >= MINIMUM_SNR, name


# --- recordings beside the checkout, of music ------------------------------------------------------------------


def assert_matches(separator: Separator, waveform: Waveform, expected_file: Path) -> None:
    stems = separator.separate(waveform)
    with np.load(expected_file) as expected:
        assert set(expected.files) == set(stems)
        for name in expected.files:
            assert stems[name].dtype == expected[name].dtype
            assert stems[name].shape == expected[name].shape
            assert snr(expected[name], stems[name]) >= MINIMUM_SNR, name


def clip(shared: Path) -> Waveform:
    waveform, _ = soundfile.read(shared / "golden" / "clip.wav", dtype="float32")
    return np.asarray(waveform, np.float32)


@pytest.mark.parametrize("case", ["tiny-4stems", "tiny-softmax-2stems-average"])
def test_tiny_networks_on_music(shared: Path, case: str) -> None:
    folder = shared / "golden" / case
    assert_matches(Separator(str(folder / "config.json"), exact=True), clip(shared), folder / "expected.npz")


def test_tiny_network_with_wiener_filter_on_music(shared: Path) -> None:
    folder = shared / "golden" / "tiny-4stems"
    assert_matches(
        Separator(str(folder / "config.json"), MWF=True, exact=True), clip(shared), folder / "expected_mwf.npz"
    )


@pytest.mark.parametrize(
    ("descriptor", "mwf", "file"),
    [
        ("spleeter:2stems", False, "expected.npz"),
        ("spleeter:2stems-16kHz", False, "expected_16kHz.npz"),
        ("spleeter:2stems", True, "expected_mwf.npz"),
    ],
)
def test_released_weights_on_music(shared: Path, descriptor: str, mwf: bool, file: str) -> None:
    check_released(descriptor)
    assert_matches(Separator(descriptor, MWF=mwf, exact=True), clip(shared), shared / "golden" / "2stems" / file)
