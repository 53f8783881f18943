"""Which steps between time stamps are gaps."""

from collections.abc import Iterable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spleeter.audio.timeline import Clock, TimedFrame, Timeline

RATE = 48_000
EXACT = Fraction(1, RATE)


def gaps(
    time_stamps: Iterable[int | None],
    n_samples: int = 1000,
    time_base: Fraction | None = EXACT,
    damaged: Iterable[int] = (),
    clock: Clock = Clock.STORED,
) -> list[int]:
    """The gaps before frames of equal length, some after damage."""
    stamps = list(time_stamps)
    frames = [
        TimedFrame(cast("Any", SimpleNamespace(pts=stamp, samples=n_samples, sample_rate=RATE)), int(i in damaged))
        for i, stamp in enumerate(stamps)
    ]
    timeline = Timeline(RATE, time_base, clock)
    timeline.start(stamps[0])
    return [gap for gap, _ in timeline.with_gaps(iter(frames))]


def test_frames_end_to_end_leave_no_gap() -> None:
    assert gaps(1000 * i for i in range(5)) == [0] * 5


@pytest.mark.parametrize(("gap", "is_damaged", "expected"), [(1024, True, 1024), (3, True, 3), (479, False, 0)])
def test_after_damage_any_gap_counts_otherwise_only_long_ones(gap: int, is_damaged: bool, expected: int) -> None:
    stamps = [0, 1000, 2000 + gap, 3000 + gap, 4000 + gap]
    assert gaps(stamps, damaged=[2] if is_damaged else []) == [0, 0, expected, 0, 0]


@pytest.mark.parametrize(
    ("time_base", "seconds"), [(EXACT, 0.01), (Fraction(1, 90_000), 0.01), (Fraction(1, 1000), 0.1)]
)
def test_a_gap_in_an_undamaged_file_counts_from_a_length_on(time_base: Fraction, seconds: float) -> None:
    for step, counts in ((0.9 * seconds, False), (1.1 * seconds, True)):
        times = [0, 0.1, 0.2 + step, 0.3 + step, 0.4 + step]
        found = gaps((round(time / time_base) for time in times), 4800, time_base)
        assert found == pytest.approx([0, 0, step * RATE if counts else 0, 0, 0], abs=50)


def test_guessed_time_stamps_count_from_a_tenth_of_a_second_on() -> None:
    for step, expected in ((4799, 0), (4800, 4800)):
        assert gaps([0, 1000 + step, 2000 + step], clock=Clock.GUESSED) == [0, expected, 0]


def test_time_stamps_that_ffmpeg_counts_tell_of_damage_alone() -> None:
    stamps = [0, 5000, 6000, 7000]
    assert gaps(stamps, clock=Clock.NONE) == [0, 0, 0, 0]
    assert gaps(stamps, damaged=[1], clock=Clock.NONE) == [0, 4000, 0, 0]


@pytest.mark.parametrize("late", [448, 1000, 1536])
@pytest.mark.parametrize("n_frames", [1, 2, 5])
def test_time_stamps_that_are_late_for_a_while_make_no_gap(late: int, n_frames: int) -> None:
    stamps = [1000 * i + (late if 60 <= i < 60 + n_frames else 0) for i in range(120)]
    assert not any(gaps(stamps))
    early = [1000 * i - (late if 60 <= i < 60 + n_frames else 0) for i in range(120)]
    assert not any(gaps(early))


def test_one_late_time_stamp_at_the_end_makes_no_gap() -> None:
    assert not any(gaps([*range(0, 20_000, 1000), 21_000]))


def test_a_gap_is_measured_beside_jitter() -> None:
    stamps = [1000 * i + (5000 if i >= 60 else 0) + (700 if i % 3 == 0 else 0) for i in range(120)]
    found = gaps(stamps)
    assert [i for i, gap in enumerate(found) if gap] == [60]
    assert found[60] == pytest.approx(5000, abs=700)


def test_gaps_close_to_each_other_are_all_found() -> None:
    stamps = [1000 * i + 2000 * (i // 10) for i in range(60)]
    assert sum(gaps(stamps)) == 5 * 2000


def test_clocks_that_drift_apart_make_no_gap_and_hide_none() -> None:
    assert not any(gaps((4848 * i for i in range(100)), 4800))  # 1 % late: 10 ms are over after ten
    for drift in (-24, 24):
        stamps = [(4800 + drift) * i + (48_000 if i >= 50 else 0) for i in range(100)]
        assert sum(gaps(stamps, 4800)) == pytest.approx(48_000, rel=0.02)


def test_time_stamps_that_step_at_every_frame_do_not_tell_the_time() -> None:
    assert not any(gaps(512 * 512 * i for i in range(50)))


def test_coarse_time_stamps_give_no_gap_below_their_resolution() -> None:
    ms = Fraction(1, 1000)
    assert gaps([0, 22, 43], 1000, ms, damaged=[1]) == [0, 0, 0]  # the first ends at 20.83 ms
    assert gaps([0, 121, 142], 1000, ms, damaged=[1])[1] == pytest.approx(4800, abs=96)


def test_steps_back_and_missing_time_stamps_make_no_gap() -> None:
    assert not any(gaps([10_000, 0, None, 2500], damaged=[1, 2, 3]))
    assert not any(gaps([99, 5000, 9999], time_base=None, damaged=[1, 2]))
    assert not any(gaps([None] * 3, damaged=[0, 1]))


def test_silence_never_exceeds_the_audio_by_more_than_a_minute() -> None:
    stamps = [i * (1000 + 25 * RATE) for i in range(50)]
    assert sum(gaps(stamps, damaged=range(50))) <= 60 * RATE
    assert sum(gaps([0, 10**15], damaged=[1])) == 0
