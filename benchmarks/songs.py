"""Songs of any length, as files and as waveforms: synthetic music, or a real song repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import Codec, Encoding
from spleeter.types import Waveform

SAMPLE_RATE = 44100
_BLOCK_SECONDS = 10


class Songs:
    """Makes songs in a folder, each once: stereo, at 44.1 kHz.

    Args:
        folder: where their files are.
        source: a song to take instead of synthetic music, repeated as needed.
    """

    def __init__(self, folder: Path, source: Path | None) -> None:
        self._folder, self._source = folder, source

    def file(self, seconds: float, codec: Codec = Codec.WAV) -> Path:
        """A file of a song, 16-bit wav or at the default bit rate."""
        path = self._folder / f"{seconds:g}s.{codec}"
        if not path.exists():
            write(path, self.blocks(seconds), Encoding(codec))
        return path

    def waveform(self, seconds: float) -> Waveform:
        """The samples of a song (samples, channels)."""
        return np.concatenate(list(self.blocks(seconds)))

    def blocks(self, seconds: float) -> Iterator[Waveform]:
        """The samples of a song, in blocks."""
        n_left = round(seconds * SAMPLE_RATE)
        for block in _synthetic() if self._source is None else _repeated(self._source):
            yield block[:n_left]
            n_left -= len(block)
            if n_left <= 0:
                return


def write(path: Path, blocks: Iterable[Waveform], encoding: Encoding, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a stereo file as the package itself does."""
    AudioAdapter.default().create(path, sample_rate, 2, encoding).write_all(blocks)


def read(path: Path) -> Iterator[Waveform]:
    """Read a file as the package itself does, block by block, in stereo at 44.1 kHz."""
    with AudioAdapter.default().open(path, sample_rate=SAMPLE_RATE, n_channels=2) as reader:
        yield from reader.blocks()


def cut(waveform: Waveform, n_samples: int) -> list[Waveform]:
    """A waveform in blocks of `n_samples`, the last one shorter."""
    return [waveform[first : first + n_samples] for first in range(0, len(waveform), n_samples)]


def _repeated(source: Path) -> Iterator[Waveform]:
    return chain.from_iterable(read(path) for path in repeat(source))


def _synthetic() -> Iterator[Waveform]:
    """Chords, noise and clicks that change every ten seconds, without end."""
    generator = np.random.default_rng(0)
    time_axis = np.arange(_BLOCK_SECONDS * SAMPLE_RATE, dtype=np.float32)[:, None] / SAMPLE_RATE
    while True:
        block = 0.02 * generator.standard_normal((len(time_axis), 2), np.float32)
        for frequency in generator.uniform(60, 6000, 6).astype(np.float32):
            volumes = generator.uniform(0, 0.1, 2).astype(np.float32)
            block += volumes * np.sin(np.float32(2 * np.pi) * frequency * time_axis)
        block[:: SAMPLE_RATE // 4] += np.float32(0.3)
        yield block
