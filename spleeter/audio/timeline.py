"""Time stamps -> how much silence is missing between two frames."""

from __future__ import annotations

import math
from fractions import Fraction

_HICCUP_SECONDS = 0.01
_COARSE_HICCUP_SECONDS = 0.1
"""An undamaged file's time stamps may step by less without meaning it: recorders are not precise, least of all
where time stamps do not count samples (there it is FFmpeg's own limit for hard compensation)."""

_FREE_SILENCE_SECONDS = 60
"""Silence put in may exceed the sound found so far by no more: beyond, it is the time stamps that are damaged."""


class Timeline:
    """Compares each frame's time stamp with the end of the frame before, and with all that came so far.

    Only a step between neighbours counts, so clocks that drift apart slowly are left alone; and only as far
    as the line of samples lies behind as a whole, so time stamps that tremble put nothing in.

    Args:
        sample_rate: in hertz.
        time_base: seconds per unit of the time stamps; None if the container has none.
        counted: whether the time stamps come from counting samples; where FFmpeg guesses some, as Vorbis's
            within a page, only long steps count.
    """

    def __init__(self, sample_rate: int, time_base: Fraction | None, counted: bool = True) -> None:
        samples_per_unit = Fraction(0) if time_base is None else time_base * sample_rate
        self._numerator, self._denominator = samples_per_unit.as_integer_ratio()
        self._least_if_damaged = max(1, math.ceil(2 * samples_per_unit))
        hiccup = _HICCUP_SECONDS if counted and samples_per_unit <= 1 else _COARSE_HICCUP_SECONDS
        self._least = max(math.ceil(sample_rate * hiccup), self._least_if_damaged)
        self._longest = sample_rate * _FREE_SILENCE_SECONDS
        self._end: int | None = None  # of the frame before, by its time stamp
        self._line = 0  # the end of all that came so far, gaps included

    def index(self, time_stamp: int | None) -> int | None:
        """The sample that a time stamp points to, counted from the container's time zero."""
        if time_stamp is None or not self._numerator:
            return None
        return (2 * time_stamp * self._numerator + self._denominator) // (2 * self._denominator)

    def start(self, time_stamp: int | None) -> None:
        """Take the next frame to be due at a time stamp."""
        self._end = self.index(time_stamp)
        self._line = self._end or 0

    def gap_before(self, time_stamp: int | None, n_samples: int, damaged: bool) -> int:
        """Account for the next frame of `n_samples`, and say how many samples are missing before it.

        After damage every sample counts, as finely as the time stamps tell.
        """
        begin = self.index(time_stamp)
        if begin is None:
            begin = self._end
        if begin is None:
            return 0
        if self._end is None:
            self._end = self._line = begin
        gap = min(begin - self._end, begin - self._line)
        if not (self._least_if_damaged if damaged else self._least) <= gap <= self._longest:
            gap = 0
        self._longest += n_samples - gap
        self._end = begin + n_samples
        self._line += gap + n_samples
        return gap
