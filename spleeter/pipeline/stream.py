"""The whole way on one page: blocks of waveform in, blocks of stems out.

    blocks of samples  ->  groups of frames  ->  STFT  ->  network  ->  masks  ->  inverse STFT  ->  blocks of stems

A whole waveform goes the very same way, as one block. Blocks of any size are regrouped into groups that are
counted from the first frame, so what comes out does not depend on how the samples came in: to the last bit on a CPU,
to rounding on a GPU, where groups of several songs may be computed together.
Nothing grows with the length: one group of frames and the overlap to the next is all that is held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spleeter.configuration import Configuration
from spleeter.dsp.stft import chunk_length, n_frames
from spleeter.dsp.tiling import Tiling
from spleeter.pipeline.engine import HOPS_AT_ONCE, Group, GroupSeparator, Separated
from spleeter.pipeline.workers import BatchWorker

_SEGMENTS_OF_STATISTICS = {"exact": 4, "usual": 1}
"""What the Wiener filter takes its statistics over, and what has to be held: 48 s, to be the original's for songs of
that length, or 12, because longer groups are no better."""


@dataclass(frozen=True)
class SeparatedBlock:
    """Consecutive samples of a song.

    Those of the mixture (channels, samples) are on the host, those of its stems (stems, channels, samples) on the
    device.
    """

    mixture: Tensor
    stems: Tensor


class Separation:
    """A network with the configuration around it, on one device.

    It may be used from several threads at once: one thread of its own computes for all of them, in turn on a CPU,
    together on a GPU.

    Args:
        configuration: audio and separation keys.
        network: magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F). It is not to
            be used any more by others.
        device: where everything from waveform to waveform is computed.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.
        precision: what the network computes in; everything else is float32.
        tiling: where the segments that the network is given lie; None puts them end to end.
        exact: whether the Wiener filter is the original's, which drops what is far softer than the loudest.
    """

    def __init__(
        self,
        configuration: Configuration,
        network: nn.Module,
        device: torch.device,
        mwf: bool = False,
        precision: torch.dtype = torch.float32,
        tiling: Tiling | None = None,
        exact: bool = False,
    ) -> None:
        self.configuration = configuration
        self.device = device
        if device.type == "cuda":
            # A switch for the whole process: with TF32, 72 dB of the original's samples are left.
            torch.backends.cudnn.allow_tf32 = False
        self._tiling = tiling or Tiling.of(configuration.T)
        n_segments = _SEGMENTS_OF_STATISTICS["exact" if exact else "usual"]
        n_wiener_hops = max(1, round(n_segments * configuration.T / self._tiling.hop))
        self._group_size = n_wiener_hops if mwf else HOPS_AT_ONCE[device.type]
        self._separator = GroupSeparator(configuration, network, device, mwf, precision, self._tiling, exact)
        self._compute = BatchWorker(self._separator, lambda group: group.n_hops, self._separator.capacity)

    def separate(self, waveform: Tensor) -> Tensor:
        """Separate a whole waveform (channels, samples) into stems (stems, channels, samples)."""
        blocks = [block.stems for block in self.separate_blocks([waveform])]
        empty = waveform.new_zeros((len(self.configuration.instrument_list), len(waveform), 0))
        return torch.cat([empty.to(self.device), *blocks], dim=-1)

    def separate_blocks(self, blocks: Iterable[Tensor]) -> Iterator[SeparatedBlock]:
        """Separate a waveform that comes in blocks (channels, samples), of any sizes, as it comes.

        Yields:
            Blocks that, put end to end, are as long as the input.
        """
        lead = self.configuration.frame_length  # the zeros in front, which the output is to lose again
        carry = self._separator.empty_carry()
        n_threads = torch.get_num_threads()
        for chunk, n_hops, n_new in self._groups(blocks):
            stems, carry = self._computed(Group(torch.from_numpy(chunk), carry, n_hops, n_threads))
            skipped, lead = min(lead, n_new), max(0, lead - n_new)
            if n_new > skipped:
                span = slice(skipped, n_new)
                yield SeparatedBlock(torch.from_numpy(chunk[:, span]), stems[..., span])

    def _computed(self, group: Group) -> Separated:
        """Have a group separated by the thread that computes."""
        if self.device.type != "cuda":
            return self._compute(group)
        here, there = torch.cuda.current_stream(self.device), torch.cuda.default_stream(self.device)
        there.wait_stream(here)  # for what is carried into the group
        separated = self._compute(group)
        here.wait_stream(there)
        return separated

    def _reach(self, n_hops: int) -> int:
        """How many samples the segments that begin in some hops reach over."""
        frames = n_hops * self._tiling.hop + self._tiling.n_ahead
        return chunk_length(frames, self.configuration.frame_length, self.configuration.frame_step)

    # What is done outside the thread that computes is done by numpy. torch would start as many threads here as it
    # computes with there, and wherever there are two such teams, OpenMP lets both sleep whenever they wait.

    def _groups(self, blocks: Iterable[Tensor]) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
        """Regroup blocks into chunks for whole groups of hops; with each its hops, and how many samples are due.

        A chunk (channels, samples) reaches over all frames of the hops' segments, so it repeats the end of the chunk
        before it.
        """
        advance = self._group_size * self._tiling.hop * self.configuration.frame_step
        reach = self._reach(self._group_size)
        n_waiting = self.configuration.frame_length
        waiting = [np.zeros((self.configuration.n_channels, n_waiting), np.float32)]
        received = 0
        for block in blocks:
            received += block.shape[-1]
            waiting.append(block.numpy().astype(np.float32, copy=False))
            n_waiting += block.shape[-1]
            if n_waiting >= reach:
                buffer = np.concatenate(waiting, axis=-1)
                while buffer.shape[-1] >= reach:
                    yield buffer[:, :reach], self._group_size, advance
                    buffer = buffer[:, advance:]
                waiting, n_waiting = [buffer], buffer.shape[-1]
        if received:
            yield from self._last_groups(np.concatenate(waiting, axis=-1))

    def _last_groups(self, buffer: npt.NDArray[np.float32]) -> Iterator[tuple[npt.NDArray[np.float32], int, int]]:
        """The end of the waveform, with zeros up to the end of the last segment."""
        length, step, hop = self.configuration.frame_length, self.configuration.frame_step, self._tiling.hop
        n_left = buffer.shape[-1]
        n_hops = -(-n_frames(n_left - length, length, step) // hop)
        for first in range(0, n_hops, self._group_size):
            n_now = min(self._group_size, n_hops - first)
            start, reach = first * hop * step, self._reach(n_now)
            chunk = buffer[:, start : start + reach]
            missing = reach - chunk.shape[-1]
            yield np.pad(chunk, [(0, 0), (0, missing)]), n_now, min(n_now * hop * step, n_left - start)
