"""Laws of the whole way from waveform to stems, with a small network of random weights."""

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spleeter.backends.base import Backend, Batching, HostDevice
from spleeter.backends.torch import TorchBackend
from spleeter.configuration import Configuration
from spleeter.dsp.stft import chunk_length
from spleeter.dsp.tiling import Tiling
from spleeter.errors import AudioError
from spleeter.pipeline.engine import Chunk, Engine
from spleeter.pipeline.stream import Pipeline

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


class Counted:
    """A backend, and the threads and the number of segments that it was called with."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self.name, self.device, self.n_threads = backend, backend.name, backend.device, 1
        self.n_segments: list[int] = []
        self.threads: list[int] = []

    def estimate(self, magnitudes: np.ndarray) -> np.ndarray:
        self.n_segments.append(len(magnitudes))
        self.threads.append(self.n_threads)
        estimates: np.ndarray = self._backend.estimate(magnitudes)
        return estimates


def backend(network: nn.Module | None = None) -> TorchBackend:
    return TorchBackend(network or TinyNetwork(3), HostDevice())


def pipeline(
    mwf: bool = False, tiling: Tiling | None = None, network: nn.Module | None = None, **changes: object
) -> Pipeline:
    return Pipeline(configuration(**changes), backend(network), mwf, tiling)


def separate_blocks(separator: Pipeline, blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mixture (channels, samples) and its stems (stems, channels, samples), from blocks (channels, samples)."""
    separated = [(block.mixture.T, block.fetch()) for block in separator.separate(block.T for block in blocks)]
    if not separated:
        return np.zeros((2, 0), np.float32), np.zeros((3, 2, 0), np.float32)
    mixtures, stems = zip(*separated, strict=True)
    return np.concatenate(mixtures, axis=-1), np.concatenate(stems, axis=1).transpose(0, 2, 1)


def separate(separator: Pipeline, waveform: np.ndarray) -> np.ndarray:
    """Stems (stems, channels, samples) of a whole waveform (channels, samples)."""
    return separate_blocks(separator, [waveform])[1]


TILINGS = [Tiling.of(T), Tiling.of(T, 0.125), Tiling.of(T, 0.5, 2), Tiling.of(T, 0.7, 3), Tiling.of(T, 0.0, 3)]
"""Segments end to end, cross-faded at their ends, and in all kinds of layers."""


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, n_samples), np.float32) * np.float32(0.1)


def tone() -> np.ndarray:
    wave = (0.5 * np.sin(2 * np.pi * 0.05 * np.arange(6 * SEGMENT))).astype(np.float32)
    return np.stack([wave, wave])


def cut(waveform: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
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


class TenLines:
    """A backend is this much: here it gives each stem its share of every bin."""

    name, n_threads = "shares", 1

    def __init__(self, *shares: float) -> None:
        self.device, self._shares = HostDevice(), shares

    def estimate(self, magnitudes: np.ndarray) -> np.ndarray:
        return np.stack([np.float32(share) * magnitudes for share in self._shares])


def test_any_backend_separates_a_song() -> None:
    song = noise(5 * SEGMENT + 123)
    stems = separate(Pipeline(configuration(separation_exponent=1), TenLines(0.5, 0.3, 0.2)), song)
    for share, stem in zip((0.5, 0.3, 0.2), stems, strict=True):
        np.testing.assert_allclose(stem, np.float32(share) * song, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tiling", [Tiling.of(T), Tiling.of(T, 0.3, 2)], ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_blocks_equal_the_whole_to_the_last_bit(n_samples: int, mwf: bool, tiling: Tiling) -> None:
    separator, waveform = pipeline(mwf, tiling), noise(n_samples)
    whole = separate(separator, waveform)
    assert whole.shape == (3, 2, n_samples)
    for sizes in ([1000], [1, 7, 333], [SEGMENT], [10 * SEGMENT]):
        mixture, stems = separate_blocks(separator, cut(waveform, sizes))
        assert np.array_equal(stems, whole)
        assert np.array_equal(mixture, waveform)


@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(0, 3 * SEGMENT), sizes=st.lists(st.integers(1, 2 * SEGMENT), min_size=1, max_size=4))
def test_no_cut_changes_a_sample(n_samples: int, sizes: list[int]) -> None:
    separator, waveform = pipeline(), noise(n_samples)
    _, stems = separate_blocks(separator, cut(waveform, sizes))
    assert np.array_equal(stems, separate(separator, waveform))


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("n_samples", [1, 500, 5 * SEGMENT + 5])
def test_stems_sum_to_the_mixture_when_masks_cover_every_bin(n_samples: int, mwf: bool, tiling: Tiling) -> None:
    waveform = noise(n_samples)
    total = separate(pipeline(mwf, tiling), waveform).sum(axis=0)
    np.testing.assert_allclose(total, waveform, rtol=0, atol=1e-7)


class Memoryless(nn.Module):
    """Estimates each bin from itself alone, so that it does not matter which segment it is in."""

    def forward(self, magnitudes: Tensor) -> Tensor:
        return torch.stack([magnitudes * share for share in (magnitudes.sigmoid(), 0.3, 0.1)])


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
def test_where_segments_lie_does_not_matter_to_a_network_without_context(tiling: Tiling, mwf: bool) -> None:
    """Frame by frame, the mean over the segments that cover it is what each of them says: none is left out."""
    waveform = noise(SEGMENT // 2 if mwf else 3 * SEGMENT + 100)  # within one chunk of the Wiener filter
    plain, tiled = (separate(pipeline(mwf, each, Memoryless()), waveform) for each in (None, tiling))
    np.testing.assert_allclose(tiled, plain, rtol=0, atol=3e-5)  # little weight at the start meets the masks' epsilon


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
    """A click is broadband for a moment; of a steady low tone there is no energy far above it."""
    stem = separate(pipeline(tiling=tiling, network=Fickle()), tone())[0, 0, SEGMENT:-SEGMENT]
    far_above = np.fft.rfft(stem * np.hanning(len(stem)))[round(0.3 * len(stem)) :]
    assert np.abs(stem).max() > 0.1
    assert np.sum(np.abs(far_above) ** 2) < 1e-8 * np.sum(stem**2) * len(stem)


def level_steps(stem: np.ndarray) -> np.ndarray:
    """Changes of level in dB, from one frame's length to the next."""
    power = np.mean(np.square(stem[: len(stem) // LENGTH * LENGTH].reshape(-1, LENGTH)), axis=-1)
    return np.asarray(np.abs(np.diff(10 * np.log10(power))))


def test_overlap_crossfades_the_steps_in_level_between_segments() -> None:
    plain, crossfaded = (
        level_steps(separate(pipeline(tiling=tiling, network=Fickle()), tone())[0, 0, SEGMENT:-SEGMENT]).max()
        for tiling in (Tiling.of(T), Tiling.of(T, 0.5))
    )
    assert crossfaded < plain / 3


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
def test_before_music_begins_there_is_nothing_but_the_frame_it_begins_in(tiling: Tiling, mwf: bool) -> None:
    waveform = noise(6 * SEGMENT)
    begin = 2 * SEGMENT + 333
    waveform[:, :begin] = 0
    stems = separate(pipeline(mwf, tiling), waveform)
    assert not stems[..., : begin - LENGTH].any()
    assert np.abs(stems[..., begin - LENGTH : begin]).max() < np.abs(waveform).max() / 4


def test_zeros_above_the_band_only_lose_the_band_above() -> None:
    waveform = noise(3 * SEGMENT)
    lost = waveform - separate(pipeline(mask_extension="zeros"), waveform).sum(axis=0)
    spectrum = np.abs(np.fft.rfft(lost * np.hanning(lost.shape[-1])))
    edge = round(24 / LENGTH * lost.shape[-1])  # bin F of the STFT
    leak = 3 * lost.shape[-1] // LENGTH  # the Hann window's main lobe, and one bin more
    assert spectrum[:, : edge - leak].max() < 1e-2 * spectrum[:, edge + leak :].max()


def test_silence_stays_silent() -> None:
    assert not separate(pipeline(), np.zeros((2, 2 * SEGMENT), np.float32)).any()


@pytest.mark.parametrize("mask_extension", ["average", "zeros"])
@pytest.mark.parametrize("mwf", [False, True])
def test_digital_silence_is_not_computed_and_nothing_changes(mask_extension: str, mwf: bool) -> None:
    counted = Counted(backend())
    separator = Pipeline(configuration(mask_extension=mask_extension), counted, mwf)
    waveform = noise(13 * SEGMENT)
    waveform[:, SEGMENT : 10 * SEGMENT + 17] = 0
    stems = separate(separator, waveform)
    n_sounding = sum(counted.n_segments)
    assert n_sounding <= 10
    barely = waveform.copy()
    barely[:, SEGMENT:] += np.float32(1e-12) * noise(12 * SEGMENT)
    np.testing.assert_allclose(stems, separate(separator, barely), rtol=0, atol=1e-6)
    assert sum(counted.n_segments) - n_sounding == 14


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
    in_order = separate(pipeline(mwf, network=network, instrument_list=names), waveform)
    network.layers = nn.ModuleList(reversed(network.layers))
    reversed_order = separate(pipeline(mwf, network=network, instrument_list=names), waveform)
    np.testing.assert_allclose(in_order[::-1], reversed_order, rtol=0, atol=tolerance)


def test_soft_sounds_stay_in_the_stem_they_are_estimated_in() -> None:
    """The Wiener filter must not drop what is 70 dB softer than the loudest, and give it to the last stem."""

    class ByFrequency(nn.Module):
        def forward(self, magnitudes: Tensor) -> Tensor:
            is_low = torch.arange(magnitudes.shape[-1]) < 12
            return torch.stack([magnitudes * ~is_low, magnitudes * is_low])

    time = np.arange(8 * SEGMENT)
    left_and_right = np.array([[1.0], [0.7]])
    loud, soft = (
        (gain * np.sin(2 * np.pi * f * time) * left_and_right).astype(np.float32)
        for gain, f in ((0.8, 4 / 64), (0.8 / 3000, 18 / 64))
    )
    separator = pipeline(mwf=True, network=ByFrequency(), instrument_list=["high", "low"])
    middle = slice(SEGMENT, -SEGMENT)
    high = separate(separator, loud + soft)[0, :, middle]
    np.testing.assert_allclose(high, soft[:, middle], rtol=0, atol=0.02 * 0.8 / 3000)


def test_songs_at_the_same_time_come_out_as_alone() -> None:
    separator = pipeline()
    songs = [noise(n_samples, seed) for seed, n_samples in enumerate([1, 700, 3 * SEGMENT, 5 * SEGMENT + 3] * 3)]
    alone = [separate(separator, song) for song in songs]
    with ThreadPoolExecutor(6) as threads:
        together = threads.map(lambda song: separate(separator, song), songs)
        for expected, got in zip(alone, together, strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("tiling", [Tiling.of(T), Tiling.of(T, 0.3, 2)], ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
def test_chunks_of_several_songs_in_one_batch_come_out_as_alone(tiling: Tiling, mwf: bool) -> None:
    """As on a GPU: several hops at once, segments of several songs in one batch, frames all at once."""
    keys, network = configuration(), backend()
    in_batches = Counted(network)
    in_batches.device = HostDevice(batching=Batching(hops=2, segments=3))
    together, alone = Engine(keys, in_batches, tiling, mwf), Engine(keys, network, tiling, mwf)
    chunks = []
    for seed, n_hops in enumerate([1, 3, 2]):
        n_samples = chunk_length(n_hops * tiling.hop + tiling.n_ahead, LENGTH, STEP)
        chunks.append(Chunk(noise(n_samples, seed), alone.empty_carry(), n_hops, n_threads=2))
    for chunk, got in zip(chunks, together(chunks), strict=True):
        (expected,) = alone([chunk])
        np.testing.assert_allclose(got.fetch(), expected.fetch(), rtol=0, atol=1e-6)
        np.testing.assert_allclose(got.carry.samples, expected.carry.samples, rtol=0, atol=1e-6)
        np.testing.assert_allclose(got.carry.estimates, expected.carry.estimates, rtol=0, atol=1e-6)
    assert max(in_batches.n_segments) == 3


@pytest.mark.parametrize("mwf", [False, True])
def test_the_input_is_not_changed(mwf: bool) -> None:
    waveform = noise(2 * SEGMENT)
    before = waveform.copy()
    separate(pipeline(mwf), waveform)
    assert np.array_equal(waveform, before)


def test_a_pipeline_can_be_used_again() -> None:
    separator, waveform = pipeline(), noise(SEGMENT)
    first = separate(separator, waveform)
    separate(separator, noise(333, seed=5))
    assert np.array_equal(separate(separator, waveform), first)


def test_gradients_stay_enabled_for_the_caller_between_blocks() -> None:
    blocks = pipeline().separate(block.T for block in cut(noise(4 * SEGMENT), [100]))
    next(blocks)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_frames_start_with_one_frame_of_zeros() -> None:
    """Segments are counted from a frame of zeros before the song: a segment's edge lies there, and nowhere else."""
    separator, waveform = pipeline(), noise(2 * SEGMENT)
    altered = waveform.copy()
    altered[:, SEGMENT:] = 0  # everything from the second segment's first new sample on
    difference = np.abs(separate(separator, waveform) - separate(separator, altered)).max(axis=(0, 1))
    assert not difference[: SEGMENT - LENGTH].any()
    assert difference[SEGMENT:].any()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_callers_number_of_threads_is_used(n_threads: int) -> None:
    counted = Counted(backend())
    counted.n_threads = n_threads
    separate(Pipeline(configuration(), counted, n_threads=2), noise(SEGMENT))
    assert set(counted.threads) == {n_threads}


def test_no_more_threads_than_asked_for_are_used() -> None:
    counted = Counted(backend())
    counted.n_threads = 3
    separate(Pipeline(configuration(), counted, n_threads=2), noise(SEGMENT))
    assert set(counted.threads) == {2}


@pytest.mark.parametrize("mwf", [False, True])
def test_blocks_of_stems_are_at_most_a_second_long(mwf: bool) -> None:
    """So that progress is told, and an exception from there is heard, as often."""
    keys = configuration(sample_rate=1007, frame_length=1024, frame_step=256)
    waveform = noise(30_000)
    blocks = list(Pipeline(keys, backend(), mwf).separate([waveform.T]))
    lengths = [len(block.mixture) for block in blocks]
    assert max(lengths) == 1007
    assert np.array_equal(np.concatenate([block.mixture for block in blocks]), waveform.T)
    assert [block.fetch().shape[1] for block in blocks] == lengths


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("parts", [3, 4, 8])
def test_stems_sum_to_the_mixture_at_every_frame_step(parts: int, mwf: bool) -> None:
    waveform = noise(5 * SEGMENT)
    stems = separate(pipeline(mwf, frame_length=96, frame_step=96 // parts), waveform)
    np.testing.assert_allclose(stems.sum(0), waveform, rtol=0, atol=1e-6)


@pytest.mark.parametrize("extension", ["zeros", "average"])
@pytest.mark.parametrize("parts", [3, 4, 6])
def test_exact_stems_are_scaled_by_two_thirds_at_every_frame_step(parts: int, extension: str) -> None:
    """As the original's: its squared windows, of which 3 / 8 of each remain on average, sum to that many."""
    keys = configuration(frame_length=96, frame_step=96 // parts, mask_extension=extension, F=49)
    waveform = noise(5 * SEGMENT)
    stems = separate(Pipeline(keys, backend(), exact=True), waveform)
    np.testing.assert_allclose(stems.sum(0), 2 / 3 * 3 / 8 * parts * waveform, rtol=0, atol=1e-6)


def test_torch_takes_over_the_callers_number_of_threads() -> None:
    usual, seen, network = torch.get_num_threads(), [], TinyNetwork(3)
    network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    separator = pipeline(network=network)
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            separate(separator, noise(SEGMENT))
    finally:
        torch.set_num_threads(usual)
    assert seen == [1] * (len(seen) // 2) + [2] * (len(seen) // 2)


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("exponent", range(0, 39, 3))
def test_stems_of_loud_samples_are_right_or_refused_without_a_warning(mwf: bool, exponent: int) -> None:
    loud = noise(3 * SEGMENT) * np.float32(10.0**exponent)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            stems = separate(pipeline(mwf), loud)
        except AudioError as error:
            refusal = str(error)
        else:
            refusal = ""
            np.testing.assert_allclose(stems.sum(0), loud, rtol=0, atol=1e-6 * np.abs(loud).max())
    assert ("times full scale" in refusal) == bool(refusal)
    assert exponent > 6 or not refusal  # integers that were not scaled are loud too
