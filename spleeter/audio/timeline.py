"""Time stamps -> how much silence is missing between two frames."""

from __future__ import annotations

import math
from fractions import Fraction

_HICCUP_SECONDS = 0.1
"""An undamaged file's time stamps may step by less without meaning it (FFmpeg's own limit for hard steps)."""

_FREE_SILENCE_SECONDS = 60
"""Silence put in may exceed the sound found so far by no more: beyond, it is the time stamps that are damaged."""


class Timeline:
    """Compares each frame's time stamp with the end of the frame before.

    Only steps between neighbours count: clocks that drift apart slowly are left alone.

    Args:
        sample_rate: in hertz.
        time_base: seconds per unit of the time stamps; None if the container has none.
    """

    def __init__(self, sample_rate: int, time_base: Fraction | None) -> None:
        samples_per_unit = Fraction(0) if time_base is None else time_base * sample_rate
        self._numerator, self._denominator = samples_per_unit.as_integer_ratio()
        grain = 2 * math.ceil(samples_per_unit)
        self._least_if_damaged = max(1, grain)
        self._least = max(math.ceil(sample_rate * _HICCUP_SECONDS), grain)
        self._longest = sample_rate * _FREE_SILENCE_SECONDS
        self._end: int | None = None

    def index(self, time_stamp: int | None) -> int | None:
        """The sample that a time stamp points to, counted from the container's time zero."""
        if time_stamp is None or not self._numerator:
            return None
        return (2 * time_stamp * self._numerator + self._denominator) // (2 * self._denominator)

    def start(self, time_stamp: int | None) -> None:
        """Take the next frame to be due at a time stamp."""
        self._end = self.index(time_stamp)

    def gap_before(self, time_stamp: int | None, n_samples: int, damaged: bool) -> int:
        """Account for the next frame of `n_samples`, and say how many samples are missing before it.

        After damage every sample counts, as finely as the time stamps tell.
        """
        begin, end = self.index(time_stamp), self._end
        least = self._least_if_damaged if damaged else self._least
        gap = 0 if begin is None or end is None else begin - end
        if not least <= gap <= self._longest:
            gap = 0
        self._longest += n_samples - gap
        start = end if begin is None else begin
        self._end = None if start is None else start + n_samples
        return gap
