"""Spectrograms of a mixture and its stems, gathered from a stream into a picture's worth of columns.

How long the song will be is not known, so the columns of the picture start out narrow, and whenever there are
`MOST_COLUMNS` of them each two neighbours become one, their mean. One frame is looked at in the middle of a column,
of columns wider than 0.37 s one in each 0.37 s. So memory does not grow with the song, and four fifths of a long
song's samples are passed over: they would change little in a mean that is a pixel wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spleeter.types import Waveform

Power: TypeAlias = npt.NDArray[np.float32]
"""Power in bands, summed over channels: (..., columns, bands). A sine at full scale in one makes about 1.5."""

MOST_COLUMNS = 1024
"""More are not seen: half a slide is some 850 pixels wide."""

N_BANDS = 160
"""Of equal width on the mel scale: up to 16 kHz the lowest are then about as wide as one bin of a frame."""

TOP = 16_000.0
"""Hertz. Above is little music, and in most compressed files none."""

SILENCE = -80.0
"""Decibels below the mixture's loudest bin, from which on down things are shown as silent."""

_UNIT_SECONDS = 0.0232
"""What frames and hops are counted in, rounded to a power of two of samples: 1024 at 44.1 and 48 kHz."""

_FRAME = 3
"""Units: 70 ms, long enough to tell the harmonics of a voice apart, short enough for a drum."""

_SHORTEST_HOP, _LONGEST_HOP = 2, 16
"""Units, from one frame's middle to the next's: 46 ms, and 0.37 s in songs of more than three minutes."""


def mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequencies in hertz -> mel (O'Shaughnessy's formula)."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0))


def hertz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse of `mel`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0))


@dataclass(frozen=True)
class Spectrograms:
    """What a picture shows.

    Attributes:
        names: of the stems.
        mixture: power (columns, bands), float32; one column even for a song without samples.
        stems: power (stems, columns, bands), float32.
        column_seconds: the time that a column covers; the first begins at 0.
        top: the upper end of the last band in hertz; the bands divide the mels below it evenly.
    """

    names: tuple[str, ...]
    mixture: Power
    stems: Power
    column_seconds: float
    top: float

    @property
    def seconds(self) -> float:
        """The time that all columns cover, which is the song's length to a column."""
        return len(self.mixture) * self.column_seconds

    def decibels(self) -> tuple[Power, Power]:
        """The levels of mixture and stems, shaped as they are, in dB: 0 is the mixture's loudest bin.

        Whatever is softer than `SILENCE` is given as `SILENCE`.
        """
        loudest = self.mixture.max() or 1.0
        return _decibels(self.mixture / loudest), _decibels(self.stems / loudest)

    def masks(self) -> Power:
        """The share of the mixture's power that each stem has: (stems, columns, bands), 0 to 1.

        NaN where the mixture is silent. A stem may be louder than the mixture, where others cancel it: that is 1.
        """
        is_heard = self.mixture > self.mixture.max() * 10.0 ** (SILENCE / 10)
        shares = np.full_like(self.stems, np.nan)
        return np.divide(np.minimum(self.stems, self.mixture), self.mixture, out=shares, where=is_heard)


class SpectrogramCollector:
    """Gathers `Spectrograms` from consecutive blocks of a mixture and its stems.

    The result depends on the samples alone, to the last bit, not on how they were cut into blocks.

    Args:
        sample_rate: in hertz.
        names: of the stems, in the order they are to be drawn.
    """

    def __init__(self, sample_rate: float, names: Sequence[str]) -> None:
        self._sample_rate = sample_rate
        self._names = tuple(names)
        unit: int = 1 << round(np.log2(_UNIT_SECONDS * sample_rate))
        self._frame = _FRAME * unit
        self._hop, self._longest_hop = _SHORTEST_HOP * unit, _LONGEST_HOP * unit
        window = np.hanning(self._frame + 1)[:-1]
        self._window = (window * 2 / window.sum()).astype(np.float32)
        self._top = min(TOP, sample_rate / 2)
        edges = hertz(np.linspace(0.0, mel(self._top), N_BANDS + 1)) * self._frame / sample_rate
        self._bins = np.maximum(1, np.round(edges)).astype(np.intp)  # an offset of the waveform is no sound
        self._power = np.zeros((1 + len(names), MOST_COLUMNS, N_BANDS), np.float32)
        self._frames_per_column = 1
        self._n_frames = 0
        self._n_pushed = 0
        self._held: list[Waveform] = []

    @property
    def _next(self) -> int:
        """Where the next frame begins, in samples of the song: its middle is in the middle of a hop."""
        middle = self._n_frames * self._hop + self._hop // 2
        return middle - self._frame // 2

    def add(self, mixture: Waveform, stems: Mapping[str, Waveform]) -> None:
        """Append a block.

        Args:
            mixture: float32 (samples, channels), of any length.
            stems: name -> float32 of the same shape; those that were not named at the start are left out.
        """
        self._push([mixture, *(stems[name] for name in self._names)])

    def finish(self) -> Spectrograms:
        """The spectrograms of all the blocks; the last thing to ask for."""
        if self._n_pushed:
            n_channels = self._held[0].shape[1]
            n_missing = self._frame // 2 + max(0, self._hop // 2 - self._n_pushed)  # for one frame at the least
            self._push([np.zeros((n_missing, n_channels), np.float32)] * len(self._power))
        n_columns = max(1, -(-self._n_frames // self._frames_per_column))
        power = self._power[:, :n_columns].copy()
        n_last = self._n_frames % self._frames_per_column
        if n_last:
            power[:, -1] *= self._frames_per_column / n_last
        column_seconds = self._hop * self._frames_per_column / self._sample_rate
        return Spectrograms(self._names, power[0], power[1:], column_seconds, self._top)

    def _push(self, blocks: list[Waveform]) -> None:
        """Take the frames that end in these blocks, and hold the samples from the next one's start on."""
        if not self._held:
            self._held = [np.zeros((-self._next, block.shape[1]), np.float32) for block in blocks]
        n_held, n_block = len(self._held[0]), len(blocks[0])
        joints = [
            np.concatenate([held, block[: self._frame]]) for held, block in zip(self._held, blocks, strict=True)
        ]
        while (first := self._next - self._n_pushed) + self._frame <= n_block:
            sources, begin = (blocks, first) if first >= 0 else (joints, n_held + first)
            self._take([source[begin : begin + self._frame] for source in sources])
        n_kept = max(0, n_block - first)
        self._held = [_last(held, block, n_kept) for held, block in zip(self._held, blocks, strict=True)]
        self._n_pushed += n_block

    def _take(self, frames: list[Waveform]) -> None:
        """Add the power of one frame (samples, channels) of each signal to the column it lies in."""
        windowed = np.empty((len(frames), frames[0].shape[1], self._frame), np.float32)
        for row, frame in zip(windowed, frames, strict=True):
            np.multiply(frame.T, self._window, out=row)
        spectra = np.fft.rfft(windowed)[..., : self._bins[-1]]  # (signals, channels, bins)
        power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
        bands = np.add.reduceat(power, self._bins[:-1], axis=-1)
        self._power[:, self._n_frames // self._frames_per_column] += bands / self._frames_per_column
        self._n_frames += 1
        if self._n_frames == MOST_COLUMNS * self._frames_per_column:
            self._merge()

    def _merge(self) -> None:
        """Make one column of each two, all of them complete."""
        half = MOST_COLUMNS // 2
        self._power[:, :half] = (self._power[:, 0::2] + self._power[:, 1::2]) / 2
        self._power[:, half:] = 0.0
        if self._hop < self._longest_hop:
            self._hop *= 2
            self._n_frames //= 2
        else:
            self._frames_per_column *= 2


def _decibels(power: Power) -> Power:
    """Decibels, down to `SILENCE`."""
    smallest = np.finfo(np.float32).tiny  # zero has no logarithm
    return np.maximum(10.0 * np.log10(np.maximum(power, smallest)), SILENCE)


def _last(held: Waveform, block: Waveform, n_samples: int) -> Waveform:
    """A copy of the last samples (samples, channels) of what is held with a block behind it."""
    n_held = max(0, n_samples - len(block))
    return np.concatenate([held[len(held) - n_held :], block[max(0, len(block) - n_samples) :]])
