"""Laws of the STFT pair, and SciPy as the oracle."""

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spleeter.dsp.stft import chunk_length, empty_carry, inverse_stft, n_frames, stft


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("frame_length", "frame_step"), [(4096, 1024), (512, 128), (256, 32), (1024, 128)])
def test_spectra_equal_scipys(frame_length: int, frame_step: int) -> None:
    waveform = noise(2, chunk_length(7, frame_length, frame_step))
    window = scipy.signal.get_window("hann", frame_length)  # periodic by default
    frames = np.lib.stride_tricks.sliding_window_view(waveform.numpy(), frame_length, axis=-1)[:, ::frame_step]
    expected = scipy.fft.rfft(frames.astype(np.float64) * window)
    got = stft(waveform, frame_length, frame_step).numpy()
    assert got.shape == expected.shape == (2, 7, frame_length // 2 + 1)
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("frame_length", "frame_step"), [(4096, 1024), (512, 128), (256, 32), (768, 256)])
def test_inverse_reconstructs_where_all_frames_overlap(frame_length: int, frame_step: int) -> None:
    waveform = noise(2, chunk_length(12, frame_length, frame_step))
    spectra = stft(waveform, frame_length, frame_step)
    samples, _ = inverse_stft(spectra, empty_carry((2,), frame_length, frame_step, waveform), frame_step)
    inner = slice(frame_length - frame_step, 12 * frame_step)
    torch.testing.assert_close(samples[:, inner], waveform[:, inner], rtol=0, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_pieces_equal_the_whole_to_the_last_bit(cuts: list[int], seed: int) -> None:
    frame_length, frame_step = 64, 16
    spectra = torch.complex(noise(2, sum(cuts), 33, seed=seed), noise(2, sum(cuts), 33, seed=seed + 1))
    start = empty_carry((2,), frame_length, frame_step, spectra.real)
    whole, whole_carry = inverse_stft(spectra, start, frame_step)
    pieces, carry = [], start
    for part in torch.split(spectra, cuts, dim=1):
        piece, carry = inverse_stft(part, carry, frame_step)
        pieces.append(piece)
    assert torch.equal(torch.cat(pieces, dim=-1), whole)
    assert torch.equal(carry, whole_carry)


@pytest.mark.parametrize("n_samples", [0, 1, 15, 16, 17, 64, 1000])
def test_last_frame_is_the_last_that_touches_the_waveform(n_samples: int) -> None:
    count = n_frames(n_samples, 64, 16)
    assert (count - 1) * 16 < n_samples + 64 <= count * 16


def test_inputs_are_not_changed() -> None:
    waveform = noise(2, 256)
    spectra = stft(waveform.clone(), 64, 16)
    carry = noise(2, 48)
    before = spectra.clone(), carry.clone()
    inverse_stft(spectra, carry, 16)
    assert torch.equal(spectra, before[0])
    assert torch.equal(carry, before[1])
