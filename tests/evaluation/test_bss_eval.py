"""BSS Eval v4: equal to museval, and its laws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import museval
import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
import torch

from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.errors import EvaluationError
from spleeter.evaluation.bss_eval import FrameScores, bss_eval, fast_length
from tests.evaluation.conftest import NAMES, RATE, Stems, leaky, lossy_stems, sixteen_bits, synthetic

Metrics = Sequence[npt.NDArray[np.float64]]


def by_museval(
    references: Stems, estimates: Stems, window: int = RATE, hop: int = RATE, filter_length: int = 512
) -> Metrics:
    """SDR, ISR, SIR and SAR."""
    double = references.astype(np.float64), estimates.astype(np.float64)
    metrics: Metrics = museval.metrics.bss_eval(*double, window=window, hop=hop, filters_len=filter_length)[:4]
    return metrics


def assert_equal(ours: FrameScores, theirs: Metrics, decibels: float) -> None:
    """Equal within a tolerance in decibels, and NaN in the same places."""
    for metric, one, other in zip(FrameScores._fields, ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=decibels, err_msg=metric)


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize(("window", "hop"), [(3000, 3000), (4000, 1500), (2000, 5000), (50000, 50000), (12000, 1)])
def test_it_equals_museval_for_any_window_and_hop(n_channels: int, window: int, hop: int) -> None:
    references, estimates = synthetic(n_channels=n_channels)
    theirs = by_museval(references, estimates, window, hop, 32)
    assert_equal(bss_eval(references, estimates, window, hop, 32), theirs, 1e-9)


def test_one_stem_alone_has_no_interference() -> None:
    references, estimates = synthetic(1)
    ours = bss_eval(references, estimates, 3000, 3000, 32)
    sdr, isr, _, sar = by_museval(references, estimates, 3000, 3000, 32)
    np.testing.assert_allclose((ours.sdr, ours.isr, ours.sar), (sdr, isr, sar), rtol=0, atol=1e-9)
    assert (ours.sir > 200).all()  # no other stem could interfere


def test_it_equals_museval_on_real_music(real_stems: Stems) -> None:
    estimates = leaky(real_stems)
    assert_equal(bss_eval(real_stems, estimates), by_museval(real_stems, estimates), 1e-4)


def test_mono_stems_in_two_channels_equal_museval(real_stems: Stems) -> None:
    mono = sixteen_bits(real_stems.mean(-1, keepdims=True)).repeat(2, axis=-1)
    references = np.stack([mono[0], real_stems[2], mono[3]])
    estimates = leaky(references)
    assert_equal(bss_eval(references, estimates), by_museval(references, estimates), 1e-3)


def test_a_silent_channel_equals_museval() -> None:
    references, estimates = synthetic()
    references[1, :, 0] = 0
    assert_equal(
        bss_eval(references, estimates, 3000, 3000, 32), by_museval(references, estimates, 3000, 3000, 32), 1e-9
    )


def test_lossy_stems_as_floats_differ_from_museval_as_much_as_museval_from_itself() -> None:
    """Above the band of such stems there are only rounding errors, and a mere gain changes museval's scores."""
    references = lossy_stems()[::3]
    estimates = leaky(references).astype(np.float32)
    theirs = by_museval(references, estimates)
    again = by_museval(0.7 * references.astype(np.float64), 0.7 * estimates.astype(np.float64))
    spread = max(np.abs(one - other).max() for one, other in zip(theirs, again, strict=True))
    assert_equal(bss_eval(references, estimates), theirs, max(0.01, 5 * spread))


@pytest.mark.slow
def test_a_minute_of_music_equals_museval(shared: Path) -> None:
    song = shared / "data" / "everything-is-free" / "Potassium"
    waveforms = [PyAVAudioAdapter().load(song / f"{name}.ogg", offset=60, duration=60)[0] for name in NAMES]
    references = sixteen_bits(np.stack(waveforms))
    estimates = leaky(references)
    theirs = by_museval(references, estimates, hop=2 * RATE)  # every other frame, because museval is slow
    assert np.isnan(theirs[0]).any()
    assert_equal(bss_eval(references, estimates, hop=2 * RATE), theirs, 1e-4)


def test_silent_frames_are_nan_for_all_stems_as_in_museval() -> None:
    references, estimates = synthetic()
    references[1, 3000:6500] = 0
    estimates[2, 9000:12000] = 0
    ours = bss_eval(references, estimates, 3000, 3000, 32)
    assert_equal(ours, by_museval(references, estimates, 3000, 3000, 32), 1e-9)
    for scores in ours:
        np.testing.assert_array_equal(np.isnan(scores), [[False, True, False, True]] * 3)


def test_opposite_channels_are_silent_as_in_museval() -> None:
    references, estimates = synthetic()
    references[0, :3000, 1] = -references[0, :3000, 0]
    ours = bss_eval(references, estimates, 3000, 3000, 32)
    assert np.isnan(ours.sdr[:, 0]).all()
    assert_equal(ours, by_museval(references, estimates, 3000, 3000, 32), 1e-9)


def test_a_stem_that_is_silent_throughout_leaves_no_scored_frame() -> None:
    references, estimates = synthetic()
    references[1] = 0
    with pytest.raises(ValueError, match="non-silent"):
        by_museval(references, estimates)
    assert all(np.isnan(scores).all() for scores in bss_eval(references, estimates, 3000, 3000, 32))


def test_permuted_stems_have_permuted_scores() -> None:
    references, estimates = synthetic(4)
    order = [2, 0, 3, 1]
    permuted = bss_eval(references[order], estimates[order], 3000, 3000, 32)
    for one, other in zip(bss_eval(references, estimates, 3000, 3000, 32), permuted, strict=True):
        np.testing.assert_allclose(one[order], other, atol=1e-9)


def test_the_gain_of_an_estimate_changes_sdr_and_isr_alone() -> None:
    references, estimates = synthetic()
    plain, amplified = (bss_eval(references, gain * estimates, 3000, 3000, 32) for gain in (1.0, 3.0))
    np.testing.assert_allclose((plain.sir, plain.sar), (amplified.sir, amplified.sar), atol=1e-9)
    assert (plain.sdr - amplified.sdr > 1).all()
    assert (plain.isr - amplified.isr > 1).all()


def test_a_perfect_estimate_has_an_infinite_sdr() -> None:
    references, _ = synthetic()
    scores = bss_eval(references, references.copy(), 3000, 3000, 32)
    assert np.isposinf(scores.sdr).all()
    assert min(scores.isr.min(), scores.sir.min(), scores.sar.min()) > 150


def test_a_filtered_reference_is_spatial_distortion_not_artifact() -> None:
    references, _ = synthetic()
    delayed = np.roll(references, 5, axis=1)
    delayed[:, :5] = 0
    whole = bss_eval(references, delayed, 12000, 12000, 32)
    assert min(whole.sar.min(), whole.sir.min()) > 30  # but for the five samples at the end
    assert whole.isr.max() < 0


def test_inputs_may_be_tensors_and_are_not_changed() -> None:
    references, estimates = (signals.astype(np.float32) for signals in synthetic())
    before = references.copy(), estimates.copy()
    ours = bss_eval(references, estimates, 3000, 3000, 32)
    of_tensors = bss_eval(torch.from_numpy(references), torch.from_numpy(estimates), 3000, 3000, 32)
    np.testing.assert_array_equal(ours, of_tensors)
    np.testing.assert_array_equal((references, estimates), before)


def test_reversed_and_read_only_views_are_accepted() -> None:
    references, estimates = synthetic()
    frozen = references[::-1, ::-1].copy()[::-1, ::-1]
    frozen.flags.writeable = False
    np.testing.assert_array_equal(
        bss_eval(references, estimates, 3000, 3000, 32), bss_eval(frozen, estimates, 3000, 3000, 32)
    )


def test_signals_shorter_than_a_filter_are_scored() -> None:
    references, estimates = synthetic(n_samples=40)
    scores = bss_eval(references, estimates, 20, 10, 64)
    np.testing.assert_allclose(scores.sdr, by_museval(references, estimates, 20, 10, 64)[0])
    assert all(np.isfinite(of_metric).all() for of_metric in scores)


def test_the_batch_size_does_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    references, estimates = synthetic()
    whole = bss_eval(references, estimates, 500, 500, 32)
    monkeypatch.setattr("spleeter.evaluation.bss_eval._BATCH_POINTS", 1)
    monkeypatch.setattr("spleeter.evaluation.filters._BATCH_BLOCKS", 1)
    np.testing.assert_allclose(whole, bss_eval(references, estimates, 500, 500, 32), atol=1e-9)


@pytest.mark.parametrize(
    ("references", "estimates", "message"),
    [
        (np.zeros((2, 10)), np.zeros((2, 10)), "axes"),
        (np.zeros((2, 10, 2), np.int16), np.zeros((2, 10, 2)), "float"),
        (np.zeros((0, 10, 2)), np.zeros((0, 10, 2)), "axes"),
        (np.zeros((2, 10, 2)), np.zeros((2, 11, 2)), "shape"),
        (np.zeros((2, 10, 2), np.dtype(">f4")), np.zeros((2, 10, 2)), "not >f4"),
        (np.full((2, 10, 2), np.nan), np.ones((2, 10, 2)), "NaN"),
    ],
)
def test_other_arrays_are_rejected(references: Stems, estimates: Stems, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        bss_eval(references, estimates)


@pytest.mark.parametrize(("window", "hop"), [(0, 10), (10, 0)])
def test_window_and_hop_are_at_least_one_sample(window: int, hop: int) -> None:
    with pytest.raises(EvaluationError, match="at least 1 sample"):
        bss_eval(*synthetic(), window, hop)


@pytest.mark.parametrize("length", [1, 7, 44100 + 511, 1 << 16, 1000003])
def test_fast_lengths_are_those_of_scipy(length: int) -> None:
    assert fast_length(length) == scipy.fft.next_fast_len(length, real=True)
