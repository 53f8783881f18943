"""Time stamps of decoded frames -> the gaps between them: only a gap that stays is one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from fractions import Fraction
from typing import NamedTuple

import av

__all__ = ["Clock", "TimedFrame", "Timeline"]

_WINDOW_SECONDS = 1
"""Time stamps of this long before and after a step say whether it is a gap."""

_JITTER_SECONDS = 0.01
_COARSE_JITTER_SECONDS = 0.1
"""A lasting step by less is no gap in an undamaged file: recorders are not precise, least of all where time stamps do
not count samples (there it is FFmpeg's own limit for hard compensation)."""

_MAX_EXTRA_SILENCE_SECONDS = 60
"""All gaps may exceed the audio decoded so far by no more: beyond, it is the time stamps that are damaged."""


class Clock(Enum):
    """Where time stamps come from."""

    STORED = auto()
    GUESSED = auto()
    """Stored for some packets alone, as for the last in an Ogg page of Vorbis."""
    NONE = auto()
    """Counted by FFmpeg."""


class TimedFrame(NamedTuple):
    """A decoded frame, and what was lost before it."""

    frame: av.AudioFrame
    n_lost: int
    """Packets before it that could not be decoded."""


class Timeline:
    """Finds the gaps between the frames of a stream by how far each time stamp deviates from the count of samples.

    A gap shifts all that follows. So its length is the least deviation within the second after it less the greatest
    within the second before: a time stamp that jitters, or clocks that drift apart, make none. Nor do time stamps
    that step at most frames: they do not tell the time.

    Args:
        sample_rate: of the samples that gaps are counted in, in hertz.
        time_base: seconds per unit of the time stamps; None if the container has none.
        clock: where time stamps are guessed, only long steps are gaps; where there are none, only those after damage.
    """

    def __init__(self, sample_rate: int, time_base: Fraction | None, clock: Clock = Clock.STORED) -> None:
        samples_per_unit = Fraction(0) if time_base is None else time_base * sample_rate
        self._sample_rate = sample_rate
        self._numerator, self._denominator = samples_per_unit.as_integer_ratio()
        self._clock = clock
        is_exact = clock is not Clock.GUESSED and samples_per_unit <= 1
        jitter = _JITTER_SECONDS if is_exact else _COARSE_JITTER_SECONDS
        self._min_gap_if_damaged = max(1, math.ceil(2 * samples_per_unit))
        self._min_gap = max(math.ceil(sample_rate * jitter), self._min_gap_if_damaged)
        self._max_gap = sample_rate * _MAX_EXTRA_SILENCE_SECONDS
        self._n_samples = 0  # so far, gaps included
        self._recent: deque[tuple[int, int]] = deque()  # (n_samples, deviation) of the last second's frames

    def index(self, time_stamp: int | None) -> int | None:
        """The sample at a time stamp, counted from the container's time zero; None if there is no time."""
        if time_stamp is None or not self._numerator:
            return None
        return (2 * time_stamp * self._numerator + self._denominator) // (2 * self._denominator)

    def start(self, time_stamp: int | None) -> None:
        """Take the next frame to be due at a time stamp."""
        self._n_samples = 0
        self._recent.clear()
        if (begin := self.index(time_stamp)) is not None:
            self._recent.append((0, begin))

    def with_gaps(self, frames: Iterator[TimedFrame]) -> Iterator[tuple[int, TimedFrame]]:
        """Pair each frame with how many samples are missing before it. Looks ahead where a gap is possible.

        After damage a gap may be as short as the time stamps can resolve.
        """
        ahead: deque[TimedFrame] = deque()
        while True:
            if not ahead and (item := next(frames, None)) is not None:
                ahead.append(item)
            if not ahead:
                return
            gap = self._gap_before(ahead, frames)
            current = ahead.popleft()
            self._append(current, gap)
            yield gap, current

    def _gap_before(self, ahead: deque[TimedFrame], frames: Iterator[TimedFrame]) -> int:
        first, is_damaged = self._deviations([ahead[0]]), ahead[0].n_lost > 0
        if self._clock is Clock.NONE and not is_damaged:
            return 0
        min_gap = self._min_gap_if_damaged if is_damaged else self._min_gap
        before = max((deviation for _, deviation in self._recent), default=None)
        if not first or before is None or first[0] - before < min_gap:
            return 0
        n_ahead = sum(map(self._length, ahead))
        while n_ahead < _WINDOW_SECONDS * self._sample_rate and (item := next(frames, None)) is not None:
            ahead.append(item)
            n_ahead += self._length(item)
        after = self._deviations(ahead)
        gap = min(after) - before
        n_steps = sum(b - a >= self._min_gap for a, b in zip([before, *after[:-1]], after, strict=True))
        is_told_by_one_frame = len(after) == 1 or 2 * n_steps > len(after)
        if not min_gap <= gap <= self._max_gap or (is_told_by_one_frame and not is_damaged):
            return 0
        return gap

    def _deviations(self, items: deque[TimedFrame] | list[TimedFrame]) -> list[int]:
        """By how much the time stamps of the frames to come exceed the count of samples, where they have any."""
        deviations, n_samples = [], self._n_samples
        for item in items:
            if (begin := self.index(item.frame.pts)) is not None:
                deviations.append(begin - n_samples)
            n_samples += self._length(item)
        return deviations

    def _append(self, item: TimedFrame, gap: int) -> None:
        self._n_samples += gap
        for deviation in self._deviations([item]):
            self._recent.append((self._n_samples, deviation))
        self._n_samples += self._length(item)
        self._max_gap += self._length(item) - gap
        while len(self._recent) > 1 and self._recent[0][0] < self._n_samples - _WINDOW_SECONDS * self._sample_rate:
            self._recent.popleft()

    def _length(self, item: TimedFrame) -> int:
        """Samples of a frame, at the timeline's rate."""
        return item.frame.samples * self._sample_rate // (item.frame.sample_rate or self._sample_rate)
