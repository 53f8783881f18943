"""Blocks of a mixture and its stems -> their spectrograms, as power in mel bands.

How long the song will be is not known, so columns start out narrow, and whenever there are `MAX_COLUMNS` of them,
each two neighbours are averaged into one. A column shows the frame at its centre, and where columns are wider than
0.37 s the mean of one frame each 0.37 s. So memory does not grow with the song, and four fifths of a long song's
samples are skipped: they would change little in a mean that is a pixel wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spleeter.plotting.rendering import MIN_DECIBELS, decibels, hertz, mel
from spleeter.types import Waveform

__all__ = ["MAX_COLUMNS", "N_BANDS", "Power", "SpectrogramCollector", "Spectrograms"]

Power: TypeAlias = npt.NDArray[np.float32]
"""Power in mel bands, summed over channels: (..., columns, bands). A sine at full scale in one makes about 1.5."""

MAX_COLUMNS = 1024
"""More are not seen: half of the figure is some 850 pixels wide."""

N_BANDS = 160
"""Of equal width in mel: up to 16 kHz the lowest are then about as wide as one bin of a frame."""

_TOP_HERTZ = 16_000.0
"""There is little music above, and none in most compressed files."""

_UNIT_SECONDS = 0.0232
"""The unit of frames and hops, rounded to a power of two of samples: 1024 at 44.1 and 48 kHz."""

_FRAME_UNITS = 3
"""70 ms, long enough to resolve the harmonics of a voice, short enough for a drum."""

_MIN_HOP_UNITS, _MAX_HOP_UNITS = 2, 16
"""46 ms, and 0.37 s in songs of more than three minutes."""


@dataclass(frozen=True)
class Spectrograms:
    """The spectrograms of a mixture and its stems.

    Attributes:
        names: the stems' names.
        mixture: power (columns, bands), float32; one column even for a song without samples.
        stems: power (stems, columns, bands), float32.
        column_seconds: the time that a column covers; the first begins at 0.
        top: upper end of the last band in hertz; the bands are of equal width in mel and begin at 0.
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
        """Levels of the mixture (columns, bands) and of the stems (stems, columns, bands), float32.

        In decibels relative to the mixture's loudest bin; not below `MIN_DECIBELS`.
        """
        loudest = float(self.mixture.max())
        return decibels(self.mixture, loudest), decibels(self.stems, loudest)

    def masks(self) -> Power:
        """Each stem's share of the mixture's power: float32 (stems, columns, bands), 0 to 1.

        NaN where the mixture is silent. Where a stem is louder than the mixture, because others cancel it, 1.
        """
        is_audible = self.mixture > self.mixture.max() * 10.0 ** (MIN_DECIBELS / 10)
        shares = np.full_like(self.stems, np.nan)
        return np.divide(np.minimum(self.stems, self.mixture), self.mixture, out=shares, where=is_audible)


class SpectrogramCollector:
    """Computes `Spectrograms` from consecutive blocks of a mixture and its stems.

    The result depends on the samples alone, bit for bit, not on how they were cut into blocks.

    Args:
        sample_rate: in hertz.
        names: the stems' names, in the order in which they are drawn.
    """

    def __init__(self, sample_rate: float, names: Sequence[str]) -> None:
        self._sample_rate = sample_rate
        self._names = tuple(names)
        unit: int = 1 << round(np.log2(_UNIT_SECONDS * sample_rate))
        self._frame = _FRAME_UNITS * unit
        self._hop, self._max_hop = _MIN_HOP_UNITS * unit, _MAX_HOP_UNITS * unit
        window = np.hanning(self._frame + 1)[:-1]
        self._window = (window * 2 / window.sum()).astype(np.float32)
        self._top = min(_TOP_HERTZ, sample_rate / 2)
        edges = hertz(np.linspace(0.0, mel(self._top), N_BANDS + 1)) * self._frame / sample_rate
        self._bins = np.maximum(1, np.round(edges)).astype(np.intp)  # from 1 on: without the DC offset
        self._power = np.zeros((1 + len(names), MAX_COLUMNS, N_BANDS), np.float32)
        self._frames_per_column = 1
        self._n_frames = 0
        self._n_pushed = 0
        self._held: list[Waveform] = []

    @property
    def _next(self) -> int:
        """The first sample of the next frame, whose centre is the centre of a hop."""
        middle = self._n_frames * self._hop + self._hop // 2
        return middle - self._frame // 2

    def add(self, mixture: Waveform, stems: Mapping[str, Waveform]) -> None:
        """Append a block.

        Args:
            mixture: float32 (samples, channels), of any length.
            stems: name -> float32 of the same shape; those whose names were not given at the start are ignored.
        """
        self._push([mixture, *(stems[name] for name in self._names)])

    def finish(self) -> Spectrograms:
        """The spectrograms of all blocks. Nothing may be added afterwards."""
        if self._n_pushed:
            n_channels = self._held[0].shape[1]
            n_missing = self._frame // 2 + max(0, self._hop // 2 - self._n_pushed)  # makes at least one frame
            self._push([np.zeros((n_missing, n_channels), np.float32)] * len(self._power))
        n_columns = max(1, -(-self._n_frames // self._frames_per_column))
        power = self._power[:, :n_columns].copy()
        n_last = self._n_frames % self._frames_per_column
        if n_last:
            power[:, -1] *= self._frames_per_column / n_last
        column_seconds = self._hop * self._frames_per_column / self._sample_rate
        return Spectrograms(self._names, power[0], power[1:], column_seconds, self._top)

    def _push(self, blocks: list[Waveform]) -> None:
        """Analyse the frames that end in these blocks, and keep the samples from the next frame's start on."""
        if not self._held:
            self._held = [np.zeros((-self._next, block.shape[1]), np.float32) for block in blocks]
        n_held, n_block = len(self._held[0]), len(blocks[0])
        joints = [
            np.concatenate([held, block[: self._frame]]) for held, block in zip(self._held, blocks, strict=True)
        ]
        while (first := self._next - self._n_pushed) + self._frame <= n_block:
            sources, begin = (blocks, first) if first >= 0 else (joints, n_held + first)
            self._add_frame([source[begin : begin + self._frame] for source in sources])
        n_kept = max(0, n_block - first)
        self._held = [_last(held, block, n_kept) for held, block in zip(self._held, blocks, strict=True)]
        self._n_pushed += n_block

    def _add_frame(self, frames: list[Waveform]) -> None:
        """Add the power of one frame (samples, channels) of each signal to the column that it lies in."""
        windowed = np.empty((len(frames), frames[0].shape[1], self._frame), np.float32)
        for row, frame in zip(windowed, frames, strict=True):
            np.multiply(frame.T, self._window, out=row)
        spectra = np.fft.rfft(windowed)[..., : self._bins[-1]]  # (signals, channels, bins)
        power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
        bands = np.add.reduceat(power, self._bins[:-1], axis=-1)
        self._power[:, self._n_frames // self._frames_per_column] += bands / self._frames_per_column
        self._n_frames += 1
        if self._n_frames == MAX_COLUMNS * self._frames_per_column:
            self._merge()

    def _merge(self) -> None:
        """Average each two columns, all of them complete."""
        half = MAX_COLUMNS // 2
        self._power[:, :half] = (self._power[:, 0::2] + self._power[:, 1::2]) / 2
        self._power[:, half:] = 0.0
        if self._hop < self._max_hop:
            self._hop *= 2
            self._n_frames //= 2
        else:
            self._frames_per_column *= 2


def _last(held: Waveform, block: Waveform, n_samples: int) -> Waveform:
    """A copy of the last samples (samples, channels) of `held` and `block`, one behind the other."""
    n_held = max(0, n_samples - len(block))
    return np.concatenate([held[len(held) - n_held :], block[max(0, len(block) - n_samples) :]])
