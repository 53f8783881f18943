"""Laws of the whole way from waveform to stems, with a small network of random weights."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spleeter.configuration import Configuration
from spleeter.dsp.tiling import Tiling
from spleeter.pipeline.engine import Group
from spleeter.pipeline.stream import Separation

STEP, LENGTH, T = 16, 64, 64
SEGMENT = T * STEP  # samples


class TinyNetwork(nn.Module):
    """Context in time and frequency, like a U-Net's, from one random convolution a stem."""

    def __init__(self, stems: int) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.layers = nn.ModuleList(nn.Conv2d(2, 2, 5, padding=2) for _ in range(stems))

    def forward(self, magnitudes: Tensor) -> Tensor:
        return torch.stack([magnitudes * layer(magnitudes).sigmoid() for layer in self.layers])


def configuration(**changes: object) -> Configuration:
    keys = {
        "instrument_list": ["vocals", "drums", "other"],
        "model": {"type": "blstm.blstm", "params": {}},  # stands for any: the network is given
        "frame_length": LENGTH,
        "frame_step": STEP,
        "T": T,
        "F": 24,
        "n_channels": 2,
        "mix_name": "mix",
        "model_dir": "none",
        "sample_rate": 8000,
        "separation_exponent": 2,
        "mask_extension": "average",
    }
    return Configuration.load({**keys, **changes})


def separation(mwf: bool = False, tiling: Tiling | None = None, **changes: object) -> Separation:
    return Separation(configuration(**changes), TinyNetwork(3), torch.device("cpu"), mwf, tiling=tiling)


TILINGS = [Tiling.of(T), Tiling.of(T, 0.125), Tiling.of(T, 0.5, 2), Tiling.of(T, 0.7, 3), Tiling.of(T, 0.0, 3)]
"""Segments end to end, cross-faded at their ends, and in all kinds of layers."""


def noise(n_samples: int, seed: int = 0) -> Tensor:
    return torch.randn((2, n_samples), generator=torch.Generator().manual_seed(seed)) * 0.1


def cut(waveform: Tensor, sizes: list[int]) -> Iterator[Tensor]:
    """Cut a waveform into blocks of the given sizes, over and over."""
    edges = [0]
    while edges[-1] < waveform.shape[-1]:
        edges.append(edges[-1] + sizes[len(edges) % len(sizes)])
    for start, end in pairwise(edges):
        yield waveform[:, start:end]


LENGTHS = [
    0, 1, STEP - 1, STEP, LENGTH - 1, LENGTH, LENGTH + 1,
    SEGMENT - LENGTH - 1, SEGMENT - LENGTH, SEGMENT - LENGTH + 1,
    SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT - LENGTH, 7 * SEGMENT + 321,
]  # fmt: skip


@pytest.mark.parametrize("tiling", [Tiling.of(T), Tiling.of(T, 0.3, 2)], ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_blocks_equal_the_whole_to_the_last_bit(n_samples: int, mwf: bool, tiling: Tiling) -> None:
    separator, waveform = separation(mwf, tiling), noise(n_samples)
    whole = separator.separate(waveform)
    assert whole.shape == (3, 2, n_samples)
    for sizes in ([1000], [1, 7, 333], [SEGMENT], [10 * SEGMENT]):
        blocks = list(separator.separate_blocks(cut(waveform, sizes)))
        stems = torch.cat([whole[..., :0], *(block.stems for block in blocks)], dim=-1)
        mixture = torch.cat([waveform[:, :0], *(block.mixture for block in blocks)], dim=-1)
        assert torch.equal(stems, whole)
        assert torch.equal(mixture, waveform)


@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(0, 3 * SEGMENT), sizes=st.lists(st.integers(1, 2 * SEGMENT), min_size=1, max_size=4))
def test_no_cut_changes_a_sample(n_samples: int, sizes: list[int]) -> None:
    separator, waveform = separation(), noise(n_samples)
    pieces = [block.stems for block in separator.separate_blocks(cut(waveform, sizes))]
    whole = separator.separate(waveform)
    assert torch.equal(torch.cat([whole[..., :0], *pieces], dim=-1), whole)


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("n_samples", [1, 500, 5 * SEGMENT + 5])
def test_stems_sum_to_the_mixture_when_masks_cover_every_bin(n_samples: int, mwf: bool, tiling: Tiling) -> None:
    waveform = noise(n_samples)
    total = separation(mwf, tiling).separate(waveform).sum(dim=0)
    torch.testing.assert_close(total, waveform, rtol=0, atol=1e-7)


class Memoryless(nn.Module):
    """Estimates each bin from itself alone, so that it does not matter which segment it is in."""

    def forward(self, magnitudes: Tensor) -> Tensor:
        return torch.stack([magnitudes * share for share in (magnitudes.sigmoid(), 0.3, 0.1)])


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
def test_where_segments_lie_does_not_matter_to_a_network_without_context(tiling: Tiling, mwf: bool) -> None:
    """Frame by frame, the mean over the segments that cover it is what each of them says: none is left out."""
    cpu = torch.device("cpu")
    waveform = noise(SEGMENT // 2 if mwf else 3 * SEGMENT + 100)  # within one group of the Wiener filter
    plain, tiled = (
        Separation(configuration(), Memoryless(), cpu, mwf, tiling=each).separate(waveform) for each in (None, tiling)
    )
    torch.testing.assert_close(tiled, plain, rtol=0, atol=3e-5)  # little weight at the start meets the masks' epsilon


class Fickle(nn.Module):
    """Gives all to one stem, and at the next segment to another."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0

    def forward(self, magnitudes: Tensor) -> Tensor:
        estimates = torch.full((3, *magnitudes.shape), 1e-3) * magnitudes
        for segment in range(len(magnitudes)):
            estimates[self.turn % 2, segment] = magnitudes[segment]
            self.turn += 1
        return estimates


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
def test_no_click_where_segments_meet_even_if_they_contradict_each_other(tiling: Tiling) -> None:
    """A click is sound at all frequencies for a moment; of a steady low tone nothing is to be heard far above it."""
    tone = 0.5 * torch.sin(2 * torch.pi * 0.05 * torch.arange(6 * SEGMENT)).expand(2, -1)
    separator = Separation(configuration(), Fickle(), torch.device("cpu"), tiling=tiling)
    stem = separator.separate(tone)[0, 0, SEGMENT:-SEGMENT]
    far_above = torch.fft.rfft(stem * torch.hann_window(len(stem)))[round(0.3 * len(stem)) :]
    assert stem.abs().max() > 0.1
    assert far_above.abs().square().sum() < 1e-8 * stem.square().sum() * len(stem)


def level_steps(stem: Tensor) -> Tensor:
    """Changes of level in dB, from one frame's length to the next."""
    power = stem.square().unfold(-1, LENGTH, LENGTH).mean(dim=-1)
    return (10 * torch.log10(power)).diff().abs()


def test_overlap_turns_the_steps_in_level_between_segments_into_slopes() -> None:
    tone = 0.5 * torch.sin(2 * torch.pi * 0.05 * torch.arange(6 * SEGMENT)).expand(2, -1)
    steps = []
    for tiling in (Tiling.of(T), Tiling.of(T, 0.5)):
        separator = Separation(configuration(), Fickle(), torch.device("cpu"), tiling=tiling)
        steps.append(level_steps(separator.separate(tone)[0, 0, SEGMENT:-SEGMENT]).max())
    assert steps[1] < steps[0] / 3


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
def test_before_music_begins_there_is_nothing_but_the_frame_it_begins_in(tiling: Tiling, mwf: bool) -> None:
    waveform = noise(6 * SEGMENT)
    begin = 2 * SEGMENT + 333
    waveform[:, :begin] = 0
    stems = separation(mwf, tiling).separate(waveform)
    assert not stems[..., : begin - LENGTH].any()
    assert stems[..., begin - LENGTH : begin].abs().max() < waveform.abs().max() / 4


def test_zeros_above_the_band_only_lose_the_band_above() -> None:
    waveform = noise(3 * SEGMENT)
    lost = waveform - separation(mask_extension="zeros").separate(waveform).sum(dim=0)
    spectrum = np.abs(np.fft.rfft(lost.numpy() * np.hanning(lost.shape[-1])))
    edge = round(24 / LENGTH * lost.shape[-1])  # bin F of the STFT
    leak = 3 * lost.shape[-1] // LENGTH  # the Hann window's main lobe, and one bin more
    assert spectrum[:, : edge - leak].max() < 1e-2 * spectrum[:, edge + leak :].max()


def test_silence_stays_silent() -> None:
    assert not separation().separate(torch.zeros(2, 2 * SEGMENT)).any()


@pytest.mark.parametrize("mask_extension", ["average", "zeros"])
@pytest.mark.parametrize("mwf", [False, True])
def test_digital_silence_is_not_computed_and_nothing_changes(mask_extension: str, mwf: bool) -> None:
    separator = separation(mwf, mask_extension=mask_extension)
    waveform = noise(13 * SEGMENT)
    waveform[:, SEGMENT : 10 * SEGMENT + 17] = 0
    n_segments: list[int] = []
    separator._separator._network.register_forward_hook(lambda _, inputs, __: n_segments.append(len(inputs[0])))
    stems = separator.separate(waveform)
    n_sounding = sum(n_segments)
    assert n_sounding <= 10
    barely = waveform.clone()
    barely[:, SEGMENT:] += 1e-12 * noise(12 * SEGMENT)
    torch.testing.assert_close(stems, separator.separate(barely), rtol=0, atol=1e-6)
    assert sum(n_segments) - n_sounding == 14


@pytest.mark.parametrize(("mwf", "tolerance"), [(False, 1e-6), (True, 1e-3)])
@pytest.mark.parametrize("n_stems", [1, 2, 3])
def test_the_last_stem_is_what_the_others_leave_if_masks_cover_every_bin(
    n_stems: int, mwf: bool, tolerance: float
) -> None:
    """In which case it need not be synthesised; it must still be what its own mask would give.

    With the Wiener filter it is so but for the regularization, of a thousandth.
    """
    names = ["vocals", "drums", "other"][:n_stems]
    network, waveform = TinyNetwork(n_stems), noise(3 * SEGMENT + 77)
    cpu, keys = torch.device("cpu"), configuration(instrument_list=names)
    in_order = Separation(keys, network, cpu, mwf).separate(waveform)
    network.layers = nn.ModuleList(reversed(network.layers))
    turned_round = Separation(keys, network, cpu, mwf).separate(waveform)
    torch.testing.assert_close(in_order.flip(0), turned_round, rtol=0, atol=tolerance)


def test_soft_sounds_stay_in_the_stem_they_are_estimated_in() -> None:
    """The Wiener filter must not drop what is 70 dB softer than the loudest, and give it to the last stem."""

    class ByFrequency(nn.Module):
        def forward(self, magnitudes: Tensor) -> Tensor:
            is_low = torch.arange(magnitudes.shape[-1]) < 12
            return torch.stack([magnitudes * ~is_low, magnitudes * is_low])

    time = torch.arange(8 * SEGMENT, dtype=torch.float64)
    loud, soft = (
        (gain * torch.sin(2 * torch.pi * f * time)).float() for gain, f in ((0.8, 4 / 64), (0.8 / 3000, 18 / 64))
    )
    left_and_right = torch.tensor([[1.0], [0.7]])
    keys = configuration(instrument_list=["high", "low"])
    stems = Separation(keys, ByFrequency(), torch.device("cpu"), mwf=True).separate((loud + soft) * left_and_right)
    middle = slice(SEGMENT, -SEGMENT)
    torch.testing.assert_close(
        stems[0, :, middle], (soft * left_and_right)[:, middle], rtol=0, atol=0.02 * 0.8 / 3000
    )


def test_songs_at_the_same_time_come_out_as_alone() -> None:
    separator = separation()
    songs = [noise(n_samples, seed) for seed, n_samples in enumerate([1, 700, 3 * SEGMENT, 5 * SEGMENT + 3] * 3)]
    alone = [separator.separate(song) for song in songs]
    with ThreadPoolExecutor(6) as threads:
        for expected, got in zip(alone, threads.map(separator.separate, songs), strict=True):
            assert torch.equal(got, expected)


def test_songs_that_go_through_the_network_together_come_out_as_alone() -> None:
    """As on a GPU: groups of several segments, and several songs' groups in one batch."""
    separator = separation()
    songs = [noise(n_samples, seed) for seed, n_samples in enumerate([SEGMENT // 2, 3 * SEGMENT, 2 * SEGMENT])]
    carry, n_threads = separator._separator.empty_carry(), torch.get_num_threads()
    chunks = [chunk for song in songs for chunk, _, _ in separator._groups([song])]
    groups = [Group(torch.from_numpy(chunk), carry, 1, n_threads) for chunk in chunks]
    assert len(groups) > 5
    together = separator._separator(groups)
    for group, (stems, carry) in zip(groups, together, strict=True):
        ((alone, carry_alone),) = separator._separator([group])
        torch.testing.assert_close(stems, alone, rtol=0, atol=1e-6)
        torch.testing.assert_close(carry.samples, carry_alone.samples, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mwf", [False, True])
def test_the_input_is_not_changed(mwf: bool) -> None:
    waveform = noise(2 * SEGMENT)
    before = waveform.clone()
    separation(mwf).separate(waveform)
    assert torch.equal(waveform, before)


def test_a_separation_can_be_used_again() -> None:
    separator, waveform = separation(), noise(SEGMENT)
    first = separator.separate(waveform)
    separator.separate(noise(333, seed=5))
    assert torch.equal(separator.separate(waveform), first)


def test_gradients_stay_enabled_for_the_caller_between_blocks() -> None:
    blocks = separation().separate_blocks(cut(noise(4 * SEGMENT), [100]))
    next(blocks)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_frames_start_with_one_frame_of_zeros() -> None:
    """Segments are counted from a frame of zeros before the song: a segment's edge lies there, and nowhere else."""
    separator, waveform = separation(), noise(2 * SEGMENT)
    altered = waveform.clone()
    altered[:, SEGMENT:] = 0  # everything from the second segment's first new sample on
    difference = (separator.separate(waveform) - separator.separate(altered)).abs().amax(dim=(0, 1))
    assert not difference[: SEGMENT - LENGTH].any()
    assert difference[SEGMENT:].any()


def test_the_callers_number_of_threads_is_taken_over() -> None:
    separator, seen = separation(), []
    separator._separator._network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    usual = torch.get_num_threads()
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            separator.separate(noise(SEGMENT))
    finally:
        torch.set_num_threads(usual)
    assert set(seen[: len(seen) // 2]) == {1}
    assert set(seen[len(seen) // 2 :]) == {2}
