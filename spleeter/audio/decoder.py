"""Packets -> decoded frames in order, each with the number of samples that are missing before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import av

from spleeter.audio.convertor import n_resampled
from spleeter.audio.demuxer import Demuxer
from spleeter.audio.files import AV_ERRORS
from spleeter.audio.timeline import TimedFrame, Timeline
from spleeter.errors import DecodeError
from spleeter.utils.logging import logger

__all__ = ["DecodedFrame", "Decoder"]

_PRE_ROLL_SECONDS = 1
"""Decoded before the target of a seek; MP3's bit reservoir reaches back 0.6 s at worst (8 kHz, 8 kbit/s)."""

_CLEARLY_SHORTER_SECONDS = 0.1
_CLEARLY_SHORTER_COARSE = 0.5
"""A header that declares this much more than there is deserves a warning; the second, if it counts no samples."""

_T = TypeVar("_T")


class DecodedFrame(NamedTuple):
    """A decoded frame and its place in time."""

    gap: int
    """Samples of silence that belong before it."""
    frame: av.AudioFrame
    n_samples: int
    """How many of its samples count, from its first."""


class Decoder:
    """The frames of a file, to be iterated over once.

    A packet that cannot be decoded leaves a gap, and so does a hole in the time stamps; both are counted. The links
    of a chained Ogg file follow each other without a gap.

    Args:
        demuxer: the opened file.
        keep_start: whether silence stands for the time between the file's beginning and the first sample.

    Raises:
        DecodeError: if not one sample can be decoded, or the system fails to read the file.
    """

    def __init__(self, demuxer: Demuxer, keep_start: bool = False) -> None:
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
        self._start_timeline(first)
        self.lead = demuxer.lead(self._origin, self.sample_rate) if keep_start else 0
        """Samples of silence for the time between the file's beginning and its first sample."""
        self._lead_left = self.lead

    def seek(self, sample: int) -> bool:
        """Continue at or shortly before a sample, if that gives the same samples as decoding up to it.

        Returns:
            Whether it succeeded; if not, the decoder is of no use any more.
        """
        time_base = self._demuxer.time_base
        if time_base is None or self._origin is None:
            return False
        target = sample - self.lead - _PRE_ROLL_SECONDS * self.sample_rate
        try:
            self._demuxer.seek(self._origin + max(0, int(target / (time_base * self.sample_rate))))
        except AV_ERRORS:
            return False
        first = self._start_decoding()
        here = self._timeline.index(first.frame.pts) if first else None
        origin = self._timeline.index(self._origin)
        if first is None or here is None or origin is None or not 0 <= here - origin <= sample - self.lead:
            return False
        self._lead_left = 0
        self.position = self.lead + here - origin
        self._timeline.start(first.frame.pts)
        return True

    def __iter__(self) -> Iterator[DecodedFrame]:
        while True:
            for (gap, (frame, n_lost)), is_last in _with_last(self._timeline.with_gaps(self._frames)):
                self.note_damage(max(n_lost, int(gap > 0)))
                n_samples = self._n_without_padding(frame) if is_last else frame.samples
                silence, self._lead_left = gap + self._lead_left, 0
                self.position += silence + n_resampled(n_samples, frame.sample_rate, self.sample_rate)
                yield DecodedFrame(silence, frame, n_samples)
            if not self._start_next_link():
                break
        if not self._warn_if_short() and self._n_lost:
            where = self.position / self.sample_rate
            logger.warning(f"{self._demuxer.file.label} is damaged or cut off at its end, {where:.2f} s")

    def _start_next_link(self) -> bool:
        """Go on to the next link of a chained Ogg file that holds audio; False if there is none."""
        while True:
            n_lost = self._n_lost
            try:
                if not self._demuxer.next_link():
                    return False
                first = self._start_decoding()
            except DecodeError as error:
                logger.warning(
                    f"the link at {self.position / self.sample_rate:.2f} s of the chained Ogg is left out: {error}"
                )
                first = None
            if first is not None:
                self.note_damage(n_lost)
                self._start_timeline(first)
                return True

    def _start_timeline(self, first: TimedFrame) -> None:
        stream = self._demuxer.stream
        self._timeline = Timeline(self.sample_rate, self._demuxer.time_base, self._demuxer.clock)
        self._origin = stream.start_time if first.n_lost else first.frame.pts
        self._timeline.start(self._origin)

    def close(self) -> None:
        """Let go of what was not iterated over: it holds this object, and only the collector would find that."""
        self._frames = chain[TimedFrame]()

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

    def _warn_if_short(self) -> bool:
        """Log a warning if the header declares clearly more than there was; returns whether it did."""
        declared = self._demuxer.declared_length(self.sample_rate)
        actual_seconds = (self.position - self.lead) / self.sample_rate
        if self._demuxer.is_chained:
            declared_seconds, tolerance = 0.0, 0.0
        elif declared is not None:
            declared_seconds, tolerance = declared / self.sample_rate, _CLEARLY_SHORTER_SECONDS
        else:
            declared_seconds, tolerance = self._demuxer.declared_seconds() or 0.0, _CLEARLY_SHORTER_COARSE
        if declared_seconds - actual_seconds <= tolerance:
            if is_cut := self._demuxer.is_cut():
                logger.warning(f"{self._demuxer.file.label} is cut off at its end, {actual_seconds:.2f} s")
            return is_cut
        logger.warning(
            f"{self._demuxer.file.label} is shorter than its header says: "
            f"{actual_seconds:.2f} s instead of {declared_seconds:.2f} s"
        )
        return True

    def _n_without_padding(self, last: av.AudioFrame) -> int:
        """Samples of the last frame that are not padding."""
        end = self._demuxer.padding_start(self.sample_rate, self._origin)
        begin = self._timeline.index(last.pts)
        n_left = last.samples if end is None or begin is None else end - begin
        return n_left if 0 < n_left < last.samples else last.samples

    def _start_decoding(self) -> TimedFrame | None:
        """Decode from where the demuxer stands. Returns the first frame, still to be iterated over; None if none."""
        frames = self._decode()
        if self._demuxer.has_first_frame_to_drop:
            next(frames, None)
        head = next(frames, None)
        self._frames = chain([] if head is None else [head], frames)
        return head

    def _decode(self) -> Iterator[TimedFrame]:
        self._n_lost = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except AV_ERRORS:
                self._n_lost += packet.size > 0  # the empty packet that flushes the decoder has nothing to lose
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and frame.samples:
                    self._demuxer.check_format(frame.sample_rate, frame.layout.nb_channels)
                    yield TimedFrame(frame, self._n_lost)
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
