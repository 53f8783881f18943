"""The whole way on one page: blocks of waveform in, blocks of stems out.

    blocks of samples  ->  groups of frames  ->  STFT  ->  network  ->  masks  ->  inverse STFT  ->  blocks of stems

A whole waveform goes the very same way, as one block. Blocks of any size are regrouped into groups that are
counted from the first frame, so what comes out does not depend on how the samples came in: to the last bit on a CPU,
to rounding on a GPU, where groups of several songs may be computed together.
Nothing grows with the length: one group of frames and the overlap to the next is all that is held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spleeter.configuration import Configuration
from spleeter.groups import Group, GroupSeparator, Separated
from spleeter.spectral.stft import chunk_length, n_frames
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.worker import BatchWorker

SEGMENTS_PER_GROUP = {"cpu": 1, "mps": 4, "cuda": 8}
"""How much of a song is computed at once, by the kind of device."""

_SEGMENTS_PER_WIENER_GROUP = 4
"""The Wiener filter's statistics are taken over a group: 4 segments are 48 s in the released models."""

_SEGMENTS_AT_ONCE = {"cpu": 1, "mps": 4, "cuda": 32}
"""Segments that the network is given at once, if several songs are separated at the same time."""


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
    """

    def __init__(
        self,
        configuration: Configuration,
        network: nn.Module,
        device: torch.device,
        mwf: bool = False,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.configuration = configuration
        self.device = device
        if device.type == "cuda":
            # A switch for the whole process: with TF32, 72 dB of the original's samples are left.
            torch.backends.cudnn.allow_tf32 = False
        if device.type == "cpu":
            keep_freed_memory()
        self._group_size = _SEGMENTS_PER_WIENER_GROUP if mwf else SEGMENTS_PER_GROUP[device.type]
        self._separator = GroupSeparator(configuration, network, device, mwf, precision)
        self._compute = BatchWorker(self._separator, lambda group: group.n_segments, _SEGMENTS_AT_ONCE[device.type])

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
        length, step, T = self.configuration.frame_length, self.configuration.frame_step, self.configuration.T
        lead = length  # the zeros in front, which the output is to lose again
        carry = self._separator.empty_carry()
        n_threads = torch.get_num_threads()
        for chunk, n_new in self._groups(blocks):
            if chunk.any():
                n_segments = (chunk.shape[-1] - length + step) // (T * step)
                stems, carry = self._computed(Group(chunk, carry, n_segments, n_threads))
            else:
                stems, carry = self._separator.faded_out(carry, chunk.shape[-1])
            skipped, lead = min(lead, n_new), max(0, lead - n_new)
            if n_new > skipped:
                span = slice(skipped, n_new)
                yield SeparatedBlock(chunk[:, span], stems[..., span])

    def _computed(self, group: Group) -> Separated:
        """Have a group separated by the thread that computes."""
        if self.device.type != "cuda":
            return self._compute(group)
        here, there = torch.cuda.current_stream(self.device), torch.cuda.default_stream(self.device)
        there.wait_stream(here)  # for what is carried into the group
        separated = self._compute(group)
        here.wait_stream(there)
        return separated

    def _groups(self, blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, int]]:
        """Regroup blocks into chunks of whole groups of segments; each with how many of its samples are due.

        A chunk reaches over its frames, so it repeats the end of the chunk before it.
        """
        length, step = self.configuration.frame_length, self.configuration.frame_step
        advance = self._group_size * self.configuration.T * step
        reach = chunk_length(self._group_size * self.configuration.T, length, step)
        waiting, n_waiting = [torch.zeros((self.configuration.n_channels, length))], length
        received = 0
        for block in blocks:
            received += block.shape[-1]
            waiting.append(block.float())
            n_waiting += block.shape[-1]
            if n_waiting >= reach:
                buffer = torch.cat(waiting, dim=-1)
                while buffer.shape[-1] >= reach:
                    yield buffer[:, :reach], advance
                    buffer = buffer[:, advance:]
                waiting, n_waiting = [buffer], buffer.shape[-1]
        if received:
            yield from self._last_groups(torch.cat(waiting, dim=-1))

    def _last_groups(self, buffer: Tensor) -> Iterator[tuple[Tensor, int]]:
        """The end of the waveform, with zeros up to the next whole segment."""
        length, step, T = self.configuration.frame_length, self.configuration.frame_step, self.configuration.T
        n_left = buffer.shape[-1]
        segments = -(-n_frames(n_left - length, length, step) // T)
        for first in range(0, segments, self._group_size):
            frames = min(self._group_size, segments - first) * T
            start, reach = first * T * step, chunk_length(frames, length, step)
            chunk = buffer[:, start : start + reach]
            yield pad(chunk, (0, reach - chunk.shape[-1])), min(frames * step, n_left - start)
