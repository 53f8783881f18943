"""Which segments are drawn, and that they are the sounds they are said to be."""

from collections import Counter
from dataclasses import replace

import numpy as np
import torch

from spleeter.data.augmentation import Change
from spleeter.data.batches import Excerpts, Segment, batches, middles
from spleeter.training.features import features
from tests.data.songs import configuration, in_memory

CPU = torch.device("cpu")


def sounds(excerpts: Excerpts, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    mixture = np.empty((2, segment.n_samples), np.float32)
    stems = np.empty((2, 2, segment.n_samples), np.float32)
    excerpts.read(segment, mixture, stems)
    return mixture, stems


def test_every_excerpt_is_taken_once_before_any_is_taken_again() -> None:
    excerpts = Excerpts(in_memory(), configuration())
    taken = [excerpts.drawn(position).excerpts[0] for position in range(3 * len(excerpts))]
    epochs = [taken[first : first + len(excerpts)] for first in range(0, len(taken), len(excerpts))]
    assert all(sorted(epoch) == list(range(len(excerpts))) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1, "the order changes"


def test_what_is_drawn_depends_on_seed_and_position_alone() -> None:
    first, again = (Excerpts(in_memory(), configuration(augmentation={"remix": 0.5, "gain_db": 6})) for _ in range(2))
    positions = [7, 3, 100, 3]
    assert [first.drawn(p) for p in positions] == [again.drawn(p) for p in reversed(positions)][::-1]
    other = Excerpts(in_memory(), configuration(random_seed=1))
    assert [first.drawn(p).starts for p in range(20)] != [other.drawn(p).starts for p in range(20)]


def test_starts_reach_from_the_first_to_the_last_possible_one() -> None:
    settings = configuration()
    excerpts = Excerpts(in_memory(n_samples=63 * 64 + 256 + 3), settings)
    assert {excerpts.drawn(position).starts[0] for position in range(100)} == {0, 1, 2, 3}


def test_a_segment_is_what_the_excerpt_holds_there_and_the_mixture_is_the_sum() -> None:
    songs = in_memory()
    excerpts = Excerpts(songs, configuration())
    segment = excerpts.drawn(5)
    mixture, stems = sounds(excerpts, segment)
    song, index = songs[segment.excerpts[0] // 2], segment.excerpts[0] % 2
    held = song.sounds()[index][:, :, segment.starts[0] : segment.starts[0] + segment.n_samples] / 2**15
    np.testing.assert_array_equal(stems, held.astype(np.float32))
    np.testing.assert_allclose(mixture, held.sum(axis=0), atol=1e-7)


def test_a_song_keeps_its_own_mixture() -> None:
    songs = in_memory(has_mixture=True)
    excerpts = Excerpts(songs, configuration())
    segment = excerpts.drawn(0)
    song, index = songs[segment.excerpts[0] // 2], segment.excerpts[0] % 2
    held = song.sounds()[index][2, :, segment.starts[0] : segment.starts[0] + segment.n_samples] / 2**15
    np.testing.assert_array_equal(sounds(excerpts, segment)[0], held.astype(np.float32))


def test_what_a_mixture_holds_beyond_its_stems_outlives_changes_of_them() -> None:
    songs = in_memory(has_mixture=True)
    plain = Excerpts(songs, configuration())
    changed = Excerpts(songs, configuration(augmentation={"gain_db": 12, "channel_swap": 0.5}))
    mixture, stems = sounds(plain, plain.drawn(3))
    louder, louder_stems = sounds(changed, changed.drawn(3))
    assert not np.allclose(stems, louder_stems)
    np.testing.assert_allclose(louder - louder_stems.sum(0), mixture - stems.sum(0), atol=1e-5)


def test_gains_and_swaps_are_each_stems_own() -> None:
    excerpts = Excerpts(in_memory(), configuration())
    plain = excerpts.drawn(1)
    changed = replace(plain, change=Change((0.5, 2.0), (False, True), 1.0, 1.0))
    _, stems = sounds(excerpts, plain)
    mixture, changed_stems = sounds(excerpts, changed)
    np.testing.assert_allclose(changed_stems[0], 0.5 * stems[0])
    np.testing.assert_allclose(changed_stems[1], 2 * stems[1, ::-1])
    np.testing.assert_allclose(mixture, changed_stems.sum(0), atol=1e-7)


def test_processes_share_out_a_batch() -> None:
    excerpts = Excerpts(in_memory(), configuration())
    (whole,) = batches(excerpts, [3], 4)
    shares = [next(batches(excerpts, [3], 4, rank, 2)) for rank in range(2)]
    for rank, share in enumerate(shares):
        torch.testing.assert_close(share.mixtures, whole.mixtures[rank::2], rtol=0, atol=0)
        torch.testing.assert_close(share.stems, whole.stems[:, rank::2], rtol=0, atol=0)
        assert share.songs == whole.part(rank, 2).songs


def test_remixed_stems_are_of_several_songs_and_add_up() -> None:
    excerpts = Excerpts(in_memory(has_mixture=True), configuration(augmentation={"remix": 1}))
    segments = [excerpts.drawn(position) for position in range(50)]
    remixed = next(segment for segment in segments if segment.excerpts[0] // 2 != segment.excerpts[1] // 2)
    mixture, stems = sounds(excerpts, remixed)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-6)
    assert " + " in excerpts.song_of(remixed)


def test_a_stem_from_elsewhere_in_the_same_excerpt_is_a_remix_too() -> None:
    excerpts = Excerpts(in_memory(1, 1, has_mixture=True), configuration(augmentation={"remix": 1}))
    segment = excerpts.drawn(0)
    assert segment.excerpts == (0, 0)
    assert segment.starts[0] != segment.starts[1]
    mixture, stems = sounds(excerpts, segment)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-6)


def test_what_is_missing_to_a_segment_is_silent() -> None:
    songs = [*in_memory(1, 1, n_samples=8000), *in_memory(1, 1, n_samples=4000)]
    excerpts = Excerpts(songs, configuration())
    short = next(segment for segment in map(excerpts.drawn, range(2)) if segment.excerpts[0] == 1)
    _, stems = sounds(excerpts, short)
    assert stems.shape == (2, 2, 63 * 64 + 256)
    assert stems[..., :4000].any()
    assert not stems[..., 4000:].any()


def test_probabilities_are_kept() -> None:
    settings = configuration(augmentation={"channel_swap": 0.25, "remix": 0.5, "gain_db": 6})
    excerpts = Excerpts(in_memory(n_songs=50), settings)
    segments = [excerpts.drawn(position) for position in range(2000)]
    swaps = Counter(swap for segment in segments for swap in segment.change.swaps)
    assert abs(swaps[True] / swaps.total() - 0.25) < 0.03
    assert abs(np.mean([segment.is_remix for segment in segments]) - 0.75) < 0.04  # either of two stems
    gains = 20 * np.log10([gain for segment in segments for gain in segment.change.gains])
    assert -6 < gains.min() < -5.5
    assert 5.5 < gains.max() < 6
    assert abs(np.mean(gains)) < 0.3


def test_validation_takes_the_middle_of_each_excerpt_unchanged() -> None:
    settings = configuration(augmentation={"time_stretch": 0.5, "pitch_semitones": 2, "gain_db": 3})
    songs = in_memory(n_songs=3, n_excerpts=1)
    found = list(middles(Excerpts(songs, settings), 2))
    assert [len(batch.segments) for batch in found] == [2, 1]
    n_samples = 63 * 64 + 256
    start = (8000 - n_samples) // 2
    expected = songs[0].sounds()[0, :, :, start : start + n_samples] / np.float32(2**15)
    np.testing.assert_array_equal(found[0].stems[:, 0].numpy(), expected)


def test_features_are_the_magnitudes_of_the_frames() -> None:
    settings = configuration()
    (batch,) = batches(Excerpts(in_memory(), settings), [0], 2)
    mixtures, targets = features(batch, settings, CPU)
    assert (mixtures.shape, targets.shape) == ((2, 2, 64, 128), (2, 2, 2, 64, 128))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    frame = batch.stems[1, 0, 1, 7 * 64 : 7 * 64 + 256].numpy()
    np.testing.assert_allclose(targets[1, 0, 1, 7], np.abs(np.fft.rfft(frame * window))[:128], rtol=1e-3, atol=1e-4)
