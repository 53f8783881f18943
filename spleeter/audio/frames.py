"""An opened sound file -> its frames in order, each with the silence that is missing before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import av

from spleeter.audio.failures import AV_ERRORS
from spleeter.audio.source import Source
from spleeter.audio.timeline import Timeline
from spleeter.utils.logging import logger

_PRE_ROLL_SECONDS = 1
"""Decoded ahead of a jump's target; MP3's bit reservoir reaches back 0.6 s at worst (8 kHz, 8 kbit/s)."""

_CLEARLY_SHORTER_SECONDS = 0.1
"""A header that promises this much more than there is deserves a warning."""

_T = TypeVar("_T")


class TimedFrame(NamedTuple):
    """A decoded frame and its place on the line of samples."""

    gap: int
    """Samples of silence that belong before it."""
    frame: av.AudioFrame
    n_samples: int
    """How many of its samples count, from its first."""


class _Decoded(NamedTuple):
    frame: av.AudioFrame
    n_lost: int
    """Packets before it that could not be decoded."""


class Frames:
    """The frames of a file, to be iterated over once.

    A packet that cannot be decoded leaves a gap, and so does a hole in the time stamps; both are counted.

    Args:
        source: the opened file.

    Raises:
        DecodeError: if not one sample can be decoded, or the system fails to read the file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.position = 0
        """The next sample, at the first frame's rate, counted from the file's beginning."""
        self._n_damaged = self._first_damage = self._n_lost = 0
        self.sample_rate: int = source.stream.sample_rate or 1
        first = self._take_up()
        if first is None:
            raise source.failure("no sound could be decoded from it")
        self.sample_rate, self.n_channels = first.frame.sample_rate, first.frame.layout.nb_channels
        counted = source.stream.codec_context.name != "vorbis"
        self._timeline = Timeline(self.sample_rate, source.stream.time_base, counted)
        self._origin = source.stream.start_time if first.n_lost else first.frame.pts
        self._timeline.start(self._origin)

    def jump(self, sample: int) -> bool:
        """Go on at or before a sample, near it, if that gives the same samples as getting there slowly.

        Returns:
            Whether it worked; if not, the frames are of no use any more.
        """
        time_base = self._source.stream.time_base
        if time_base is None or self._origin is None:
            return False
        ahead = sample - _PRE_ROLL_SECONDS * self.sample_rate
        try:
            self._source.jump(self._origin + int(ahead / (time_base * self.sample_rate)))
        except AV_ERRORS:
            return False
        first = self._take_up()
        here = self._timeline.index(first.frame.pts) if first else None
        origin = self._timeline.index(self._origin)
        if first is None or here is None or origin is None or not 0 <= here - origin <= sample:
            return False
        self.position = here - origin
        self._timeline.start(first.frame.pts)
        return True

    def __iter__(self) -> Iterator[TimedFrame]:
        for (frame, n_lost), is_last in self._frames:
            gap = self._timeline.gap_before(frame.pts, frame.samples, damaged=n_lost > 0)
            self.note_damage(max(n_lost, int(gap > 0)))
            self.position += gap
            n_samples = self._n_kept(frame) if is_last else frame.samples
            self.position += n_samples
            yield TimedFrame(gap, frame, n_samples)
        if not self._is_short():
            self.note_damage(self._n_lost)

    def note_damage(self, n_passages: int) -> None:
        """Count damaged passages, here."""
        if n_passages and not self._n_damaged:
            self._first_damage = self.position
        self._n_damaged += n_passages

    def warn_of_damage(self) -> None:
        """Tell about the damage met so far, if any."""
        if self._n_damaged:
            where = self._first_damage / self.sample_rate
            logger.warning(
                f"{self._source.name} is damaged: silence stands for what could not be decoded "
                f"(passages: {self._n_damaged}, the first at {where:.2f} s)"
            )

    def _is_short(self) -> bool:
        """Whether the header promised clearly more than there was; if so, with a warning."""
        promised = self._source.samples_promised(self.sample_rate)
        if promised is None or promised - self.position <= _CLEARLY_SHORTER_SECONDS * self.sample_rate:
            return False
        has, said = self.position / self.sample_rate, promised / self.sample_rate
        logger.warning(f"{self._source.name} is shorter than its header says: {has:.2f} s instead of {said:.2f} s")
        return True

    def _n_kept(self, last: av.AudioFrame) -> int:
        """Samples of the last frame that are not padding."""
        end = self._source.padded_end(self.sample_rate)
        left = last.samples if end is None else end - self.position
        return left if 0 < left < last.samples else last.samples

    def _take_up(self) -> _Decoded | None:
        """Decode from where the source stands; gives a look at the first frame, None if there is none."""
        frames = _with_last(self._decoded())
        head = next(frames, None)
        self._frames = chain([head] if head else [], frames)
        return head[0] if head else None

    def _decoded(self) -> Iterator[_Decoded]:
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
            yield from self._source.packets()
        except AV_ERRORS:
            self._n_lost += 1  # FFmpeg finds no way on in the file: what there is, is what came so far
        self._source.check()


def _with_last(items: Iterable[_T]) -> Iterator[tuple[_T, bool]]:
    """Pair each item with whether it is the last."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current, False
            current = following
        yield current, True
