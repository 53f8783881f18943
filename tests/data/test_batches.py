"""Which segments are drawn, and that their waveforms are those of the excerpts."""

from dataclasses import replace

import numpy as np

from spleeter.data.augmentation import Transform
from spleeter.data.batches import Segment, SegmentSampler, training_batches, validation_batches
from tests.data.songs import configuration, in_memory


def read(sampler: SegmentSampler, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    mixture = np.empty((2, segment.n_samples), np.float32)
    stems = np.empty((2, 2, segment.n_samples), np.float32)
    sampler.read(segment, mixture, stems)
    return mixture, stems


def test_every_excerpt_is_taken_once_before_any_is_taken_again() -> None:
    sampler = SegmentSampler(in_memory(), configuration())
    taken = [sampler.draw(position).excerpts[0] for position in range(3 * len(sampler))]
    epochs = [taken[first : first + len(sampler)] for first in range(0, len(taken), len(sampler))]
    assert all(sorted(epoch) == list(range(len(sampler))) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1, "the order changes"


def test_segments_depend_on_seed_and_position_alone() -> None:
    settings = configuration(augmentation={"remix": 0.5, "gain_db": 6})
    first, again = (SegmentSampler(in_memory(), settings) for _ in range(2))
    positions = [7, 3, 100, 3]
    assert [first.draw(p) for p in positions] == [again.draw(p) for p in reversed(positions)][::-1]
    other = SegmentSampler(in_memory(), configuration(random_seed=1))
    assert [first.draw(p).starts for p in range(20)] != [other.draw(p).starts for p in range(20)]


def test_starts_reach_from_the_first_to_the_last_possible_one() -> None:
    settings = configuration()
    sampler = SegmentSampler(in_memory(n_samples=63 * 64 + 256 + 3), settings)
    assert {sampler.draw(position).starts[0] for position in range(100)} == {0, 1, 2, 3}


def test_a_segment_is_read_from_its_start_and_the_mixture_is_the_sum_of_its_stems() -> None:
    songs = in_memory()
    sampler = SegmentSampler(songs, configuration())
    segment = sampler.draw(5)
    mixture, stems = read(sampler, segment)
    song, index = songs[segment.excerpts[0] // 2], segment.excerpts[0] % 2
    held = song.open()[index][:, :, segment.starts[0] : segment.starts[0] + segment.n_samples] / 2**15
    np.testing.assert_array_equal(stems, held.astype(np.float32))
    np.testing.assert_allclose(mixture, held.sum(axis=0), atol=1e-7)


def test_a_song_keeps_its_own_mixture() -> None:
    songs = in_memory(has_mixture=True)
    sampler = SegmentSampler(songs, configuration())
    segment = sampler.draw(0)
    song, index = songs[segment.excerpts[0] // 2], segment.excerpts[0] % 2
    held = song.open()[index][2, :, segment.starts[0] : segment.starts[0] + segment.n_samples] / 2**15
    np.testing.assert_array_equal(read(sampler, segment)[0], held.astype(np.float32))


def test_the_residual_of_a_mixture_is_kept_when_its_stems_are_augmented() -> None:
    songs = in_memory(has_mixture=True)
    plain = SegmentSampler(songs, configuration())
    changed = SegmentSampler(songs, configuration(augmentation={"gain_db": 12, "channel_swap": 0.5}))
    mixture, stems = read(plain, plain.draw(3))
    louder, louder_stems = read(changed, changed.draw(3))
    assert not np.allclose(stems, louder_stems)
    np.testing.assert_allclose(louder - louder_stems.sum(0), mixture - stems.sum(0), atol=1e-5)


def test_gains_and_swaps_are_applied_to_each_stem() -> None:
    sampler = SegmentSampler(in_memory(), configuration())
    plain = sampler.draw(1)
    changed = replace(plain, transform=Transform((0.5, 2.0), (False, True), 1.0, 1.0))
    _, stems = read(sampler, plain)
    mixture, changed_stems = read(sampler, changed)
    np.testing.assert_allclose(changed_stems[0], 0.5 * stems[0])
    np.testing.assert_allclose(changed_stems[1], 2 * stems[1, ::-1])
    np.testing.assert_allclose(mixture, changed_stems.sum(0), atol=1e-7)


def test_processes_share_a_batch() -> None:
    sampler = SegmentSampler(in_memory(), configuration())
    (whole,) = training_batches(sampler, [3], 4)
    shares = [next(training_batches(sampler, [3], 4, rank, 2)) for rank in range(2)]
    for rank, share in enumerate(shares):
        np.testing.assert_array_equal(share.mixtures, whole.mixtures[rank::2])
        np.testing.assert_array_equal(share.stems, whole.stems[:, rank::2])
        assert share.songs == whole.songs[rank::2]


def test_remixed_stems_are_of_several_songs_and_add_up_to_the_mixture() -> None:
    sampler = SegmentSampler(in_memory(has_mixture=True), configuration(augmentation={"remix": 1}))
    segments = [sampler.draw(position) for position in range(50)]
    remixed = next(segment for segment in segments if segment.excerpts[0] // 2 != segment.excerpts[1] // 2)
    mixture, stems = read(sampler, remixed)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-6)
    assert " + " in sampler.songs_of(remixed)


def test_a_stem_from_elsewhere_in_the_same_excerpt_is_a_remix_too() -> None:
    sampler = SegmentSampler(in_memory(1, 1, has_mixture=True), configuration(augmentation={"remix": 1}))
    segment = sampler.draw(0)
    assert segment.excerpts == (0, 0)
    assert segment.starts[0] != segment.starts[1]
    mixture, stems = read(sampler, segment)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-6)


def test_a_segment_is_silent_beyond_the_end_of_its_excerpt() -> None:
    songs = [*in_memory(1, 1, n_samples=8000), *in_memory(1, 1, n_samples=4000)]
    sampler = SegmentSampler(songs, configuration())
    short = next(segment for segment in map(sampler.draw, range(2)) if segment.excerpts[0] == 1)
    _, stems = read(sampler, short)
    assert stems.shape == (2, 2, 63 * 64 + 256)
    assert stems[..., :4000].any()
    assert not stems[..., 4000:].any()


def test_each_stem_is_remixed_with_the_configured_probability() -> None:
    sampler = SegmentSampler(in_memory(n_songs=50), configuration(augmentation={"remix": 0.5}))
    segments = [sampler.draw(position) for position in range(2000)]
    assert abs(np.mean([segment.is_remix for segment in segments]) - 0.75) < 0.04  # either of two stems


def test_validation_takes_the_middle_of_each_excerpt_without_augmentation() -> None:
    settings = configuration(augmentation={"time_stretch": 0.5, "pitch_semitones": 2, "gain_db": 3})
    songs = in_memory(n_songs=3, n_excerpts=1)
    found = list(validation_batches(SegmentSampler(songs, settings), 2))
    assert [len(batch.segments) for batch in found] == [2, 1]
    n_samples = 63 * 64 + 256
    start = (8000 - n_samples) // 2
    expected = songs[0].open()[0, :, :, start : start + n_samples] / np.float32(2**15)
    np.testing.assert_array_equal(found[0].stems[:, 0], expected)
