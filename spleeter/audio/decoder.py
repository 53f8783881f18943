"""Packets -> decoded frames in order, each with the number of samples that are missing before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import av

from spleeter.audio.demuxer import Demuxer
from spleeter.audio.files import AV_ERRORS
from spleeter.utils.logging import logger

__all__ = ["DecodedFrame", "Decoder", "Timeline"]

_PRE_ROLL_SECONDS = 1
"""Decoded before the target of a seek; MP3's bit reservoir reaches back 0.6 s at worst (8 kHz, 8 kbit/s)."""

_CLEARLY_SHORTER_SECONDS = 0.1
"""A header that declares this much more than there is deserves a warning."""

_JITTER_SECONDS = 0.01
_COARSE_JITTER_SECONDS = 0.1
"""An undamaged file's time stamps may step by less without a gap: recorders are not precise, least of all where time
stamps do not count samples (there it is FFmpeg's own limit for hard compensation)."""

_MAX_EXTRA_SILENCE_SECONDS = 60
"""All gaps may exceed the audio decoded so far by no more: beyond, it is the time stamps that are damaged."""

_T = TypeVar("_T")


class DecodedFrame(NamedTuple):
    """A decoded frame and its place in time."""

    gap: int
    """Samples of silence that belong before it."""
    frame: av.AudioFrame
    n_samples: int
    """How many of its samples count, from its first."""


class _Decoded(NamedTuple):
    frame: av.AudioFrame
    n_lost: int
    """Packets before it that could not be decoded."""


class Decoder:
    """The frames of a file, to be iterated over once.

    A packet that cannot be decoded leaves a gap, and so does a hole in the time stamps; both are counted.

    Args:
        demuxer: the opened file.

    Raises:
        DecodeError: if not one sample can be decoded, or the system fails to read the file.
    """

    def __init__(self, demuxer: Demuxer) -> None:
        self._demuxer = demuxer
        self.position = 0
        """The next sample, at the first frame's rate, counted from the file's beginning."""
        self._n_damaged = self._first_damage = self._n_lost = 0
        self.sample_rate: int = demuxer.stream.sample_rate or 1
        first = self._start_decoding()
        if first is None:
            how = "" if demuxer.file.seekable() else " without seeking, which it does not allow"
            raise demuxer.file.failure(f"no audio could be decoded from it{how}")
        self.sample_rate, self.n_channels = first.frame.sample_rate, first.frame.layout.nb_channels
        is_counted = demuxer.stream.codec_context.name != "vorbis"
        self._timeline = Timeline(self.sample_rate, demuxer.stream.time_base, is_counted)
        self._origin = demuxer.stream.start_time if first.n_lost else first.frame.pts
        self._timeline.start(self._origin)

    def seek(self, sample: int) -> bool:
        """Continue at or shortly before a sample, if that gives the same samples as decoding up to it.

        Returns:
            Whether it succeeded; if not, the decoder is of no use any more.
        """
        time_base = self._demuxer.stream.time_base
        if time_base is None or self._origin is None:
            return False
        target = sample - _PRE_ROLL_SECONDS * self.sample_rate
        try:
            self._demuxer.seek(self._origin + int(target / (time_base * self.sample_rate)))
        except AV_ERRORS:
            return False
        first = self._start_decoding()
        here = self._timeline.index(first.frame.pts) if first else None
        origin = self._timeline.index(self._origin)
        if first is None or here is None or origin is None or not 0 <= here - origin <= sample:
            return False
        self.position = here - origin
        self._timeline.start(first.frame.pts)
        return True

    def __iter__(self) -> Iterator[DecodedFrame]:
        for (frame, n_lost), is_last in self._frames:
            gap = self._timeline.gap_before(frame.pts, frame.samples, is_damaged=n_lost > 0)
            self.note_damage(max(n_lost, int(gap > 0)))
            self.position += gap
            n_samples = self._n_without_padding(frame) if is_last else frame.samples
            self.position += n_samples
            yield DecodedFrame(gap, frame, n_samples)
        if not self._is_short():
            self.note_damage(self._n_lost)

    def note_damage(self, n_passages: int) -> None:
        """Count damaged passages, at the current position."""
        if n_passages and not self._n_damaged:
            self._first_damage = self.position
        self._n_damaged += n_passages

    def warn_of_damage(self) -> None:
        """Log a warning about the damage met so far, if any."""
        if self._n_damaged:
            where = self._first_damage / self.sample_rate
            logger.warning(
                f"{self._demuxer.file.label} is damaged: silence stands for what could not be decoded "
                f"(passages: {self._n_damaged}, the first at {where:.2f} s)"
            )

    def _is_short(self) -> bool:
        """Whether the header declares clearly more than there was; if so, with a warning."""
        declared = self._demuxer.declared_length(self.sample_rate)
        if declared is None or declared - self.position <= _CLEARLY_SHORTER_SECONDS * self.sample_rate:
            return False
        actual_seconds, declared_seconds = self.position / self.sample_rate, declared / self.sample_rate
        logger.warning(
            f"{self._demuxer.file.label} is shorter than its header says: "
            f"{actual_seconds:.2f} s instead of {declared_seconds:.2f} s"
        )
        return True

    def _n_without_padding(self, last: av.AudioFrame) -> int:
        """Samples of the last frame that are not padding."""
        end = self._demuxer.padding_start(self.sample_rate)
        n_left = last.samples if end is None else end - self.position
        return n_left if 0 < n_left < last.samples else last.samples

    def _start_decoding(self) -> _Decoded | None:
        """Decode from where the demuxer stands. Returns the first frame, still to be iterated over; None if none."""
        frames = _with_last(self._decode())
        head = next(frames, None)
        self._frames = chain([head] if head else [], frames)
        return head[0] if head else None

    def _decode(self) -> Iterator[_Decoded]:
        self._n_lost = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except AV_ERRORS:
                self._n_lost += packet.size > 0  # the empty packet that flushes the decoder has nothing to lose
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and frame.samples:
                    yield _Decoded(frame, self._n_lost)
                    self._n_lost = 0

    def _packets(self) -> Iterator[av.Packet[Any]]:
        try:
            yield from self._demuxer.packets()
        except AV_ERRORS:
            self._n_lost += 1  # FFmpeg cannot demux the rest: the file ends here
        self._demuxer.file.check()


def _with_last(items: Iterable[_T]) -> Iterator[tuple[_T, bool]]:
    """Pair each item with whether it is the last."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current, False
            current = following
        yield current, True


class Timeline:
    """Finds the gaps between frames, by their time stamps.

    Each frame's time stamp is compared with the end of the frame before, so that clocks which drift apart slowly make
    no gap; and with the number of samples so far, gaps included, so that time stamps which jitter make none either.

    Args:
        sample_rate: in hertz.
        time_base: seconds per unit of the time stamps; None if the container has none.
        is_counted: whether the time stamps come from counting samples; where FFmpeg guesses some, as Vorbis's
            within a page, only long steps are gaps.
    """

    def __init__(self, sample_rate: int, time_base: Fraction | None, is_counted: bool = True) -> None:
        samples_per_unit = Fraction(0) if time_base is None else time_base * sample_rate
        self._numerator, self._denominator = samples_per_unit.as_integer_ratio()
        jitter = _JITTER_SECONDS if is_counted and samples_per_unit <= 1 else _COARSE_JITTER_SECONDS
        self._min_gap_if_damaged = max(1, math.ceil(2 * samples_per_unit))
        self._min_gap = max(math.ceil(sample_rate * jitter), self._min_gap_if_damaged)
        self._max_gap = sample_rate * _MAX_EXTRA_SILENCE_SECONDS
        self._frame_end: int | None = None  # of the frame before, by its time stamp
        self._total_end = 0  # of all samples so far, gaps included

    def index(self, time_stamp: int | None) -> int | None:
        """The sample at a time stamp, counted from the container's time zero; None if there is no time."""
        if time_stamp is None or not self._numerator:
            return None
        return (2 * time_stamp * self._numerator + self._denominator) // (2 * self._denominator)

    def start(self, time_stamp: int | None) -> None:
        """Take the next frame to be due at a time stamp."""
        self._frame_end = self.index(time_stamp)
        self._total_end = self._frame_end or 0

    def gap_before(self, time_stamp: int | None, n_samples: int, is_damaged: bool) -> int:
        """Append a frame of `n_samples`; returns how many samples are missing before it.

        After damage a gap may be as short as the time stamps can resolve.
        """
        begin = self.index(time_stamp)
        if begin is None:
            begin = self._frame_end
        if begin is None:
            return 0
        if self._frame_end is None:
            self._frame_end = self._total_end = begin
        gap = min(begin - self._frame_end, begin - self._total_end)
        if not (self._min_gap_if_damaged if is_damaged else self._min_gap) <= gap <= self._max_gap:
            gap = 0
        self._max_gap += n_samples - gap
        self._frame_end = begin + n_samples
        self._total_end += gap + n_samples
        return gap
