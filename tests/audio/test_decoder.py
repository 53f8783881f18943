"""Which steps between time stamps are gaps."""

from fractions import Fraction

import pytest

from spleeter.audio.decoder import Timeline

RATE = 48_000
EXACT = Fraction(1, RATE)


def test_frames_end_to_end_leave_no_gap() -> None:
    timeline = Timeline(RATE, EXACT)
    assert [timeline.gap_before(1000 * i, 1000, is_damaged=False) for i in range(5)] == [0] * 5


@pytest.mark.parametrize(("gap", "is_damaged", "expected"), [(1024, True, 1024), (3, True, 3), (479, False, 0)])
def test_after_damage_any_gap_counts_otherwise_only_long_ones(gap: int, is_damaged: bool, expected: int) -> None:
    timeline = Timeline(RATE, EXACT)
    timeline.gap_before(500, 1000, is_damaged=False)
    assert timeline.gap_before(1500 + gap, 1000, is_damaged) == expected


@pytest.mark.parametrize(
    ("time_base", "seconds"), [(EXACT, 0.01), (Fraction(1, 90_000), 0.01), (Fraction(1, 1000), 0.1)]
)
def test_a_gap_in_an_undamaged_file_counts_from_a_length_on(time_base: Fraction, seconds: float) -> None:
    for step, counts in ((0.9 * seconds, False), (1.1 * seconds, True)):
        timeline = Timeline(RATE, time_base)
        timeline.gap_before(0, 4800, is_damaged=False)
        gap = timeline.gap_before(round((0.1 + step) / time_base), 4800, is_damaged=False)
        assert gap == pytest.approx(step * RATE if counts else 0, abs=50)


def test_guessed_time_stamps_count_from_a_tenth_of_a_second_on() -> None:
    for step, expected in ((4799, 0), (4800, 4800)):
        timeline = Timeline(RATE, EXACT, is_counted=False)
        timeline.gap_before(0, 1000, is_damaged=False)
        assert timeline.gap_before(1000 + step, 1000, is_damaged=False) == expected


def test_clocks_that_drift_apart_make_no_gap() -> None:
    timeline = Timeline(RATE, EXACT)  # every frame comes 1 % late: 10 ms are over after ten
    assert sum(timeline.gap_before(4848 * i, 4800, is_damaged=False) for i in range(100)) == 0


def test_time_stamps_that_jitter_lengthen_nothing() -> None:
    timeline = Timeline(RATE, EXACT)
    stamps = [4800 * i + (1000 if i % 2 else 0) for i in range(100)]
    assert sum(timeline.gap_before(stamp, 4800, is_damaged=False) for stamp in stamps) == 1000


def test_coarse_time_stamps_give_no_gap_below_their_resolution() -> None:
    timeline = Timeline(RATE, Fraction(1, 1000))
    timeline.gap_before(0, 1000, is_damaged=False)  # ends at 20.83 ms
    assert timeline.gap_before(22, 1000, is_damaged=True) == 0
    assert timeline.gap_before(142, 1000, is_damaged=True) == 142 * 48 - (22 * 48 + 1000)


def test_steps_back_and_missing_time_stamps_make_no_gap() -> None:
    timeline = Timeline(RATE, EXACT)
    timeline.gap_before(10_000, 1000, is_damaged=False)
    assert timeline.gap_before(0, 1000, is_damaged=True) == 0
    assert timeline.gap_before(None, 1000, is_damaged=True) == 0
    assert timeline.gap_before(2000 + 500, 1000, is_damaged=True) == 0  # still behind the end of all samples so far
    assert timeline.gap_before(14_000 + 500, 1000, is_damaged=True) == 500  # four frames from 10,000 on, and a gap
    assert Timeline(RATE, None).gap_before(99, 10, is_damaged=True) == 0


def test_silence_never_exceeds_the_audio_by_more_than_a_minute() -> None:
    timeline = Timeline(RATE, EXACT)
    silence, stamp = 0, 0
    for _ in range(50):
        silence += timeline.gap_before(stamp, 1000, is_damaged=True)
        stamp += 1000 + 30 * RATE
    assert silence == 60 * RATE // (30 * RATE) * 30 * RATE
    assert timeline.gap_before(10**15, 1000, is_damaged=True) == 0
