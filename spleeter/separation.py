"""The whole way on one page: blocks of waveform in, blocks of stems out.

    blocks of samples  ->  groups of frames  ->  STFT  ->  network  ->  masks  ->  inverse STFT  ->  blocks of stems

A whole waveform goes the very same way, as one block. Blocks of any size are regrouped into groups that are
counted from the first frame, so what comes out does not depend on how the samples came in, to the last bit.
Nothing grows with the length: one group of frames and the overlap to the next is all that is held.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spleeter.configuration import Configuration
from spleeter.masking.ratio import apply_mask, ratio_masks
from spleeter.masking.wiener import wiener_filter
from spleeter.model.inference import for_inference
from spleeter.spectral.segments import join, partition
from spleeter.spectral.stft import chunk_length, empty_carry, inverse_stft, magnitudes, n_frames, stft
from spleeter.transfer import to_device
from spleeter.utils.allocator import keep_freed_memory
from spleeter.utils.worker import BatchWorker

_SEGMENTS_PER_GROUP = {"cpu": 1, "mps": 4, "cuda": 8}
_SEGMENTS_PER_WIENER_GROUP = 4
"""The Wiener filter's statistics are taken over a group: 4 segments are 48 s in the released models."""

_SEGMENTS_AT_ONCE = {"cpu": 1, "mps": 4, "cuda": 32}
"""Segments that the network is given at once, if several songs are separated at the same time."""

_LAUNCHES_AHEAD = 2
"""Groups that may wait on a CUDA device: enough that it never waits, few enough that songs gather meanwhile."""


@dataclass(frozen=True)
class SeparatedBlock:
    """Consecutive samples of the mixture (channels, samples), on the host, and of its stems (stems, channels,
    samples), on the device."""

    mixture: Tensor
    stems: Tensor


@dataclass(frozen=True)
class _Group:
    """A chunk of a song (channels, samples) that reaches over a group of segments, and what is carried into it."""

    chunk: Tensor
    carry: Tensor
    n_segments: int


_Separated = tuple[Tensor, Tensor]
"""A group's stems (stems, channels, samples), and what is carried on."""


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
        self._network = for_inference(network, device, precision)
        self._mwf = mwf
        # Average masks sum to 1 over the stems in every bin, so the last stem is what the others leave.
        several = len(configuration.instrument_list) > 1
        self._last_is_rest = several and not mwf and configuration.mask_extension == "average"
        self._group_size = _SEGMENTS_PER_WIENER_GROUP if mwf else _SEGMENTS_PER_GROUP[device.type]
        self._compute = BatchWorker(
            self._separate_groups, lambda group: group.n_segments, _SEGMENTS_AT_ONCE[device.type]
        )
        self._launched: deque[torch.cuda.Event] = deque()

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
        carry: Tensor | None = None
        for chunk, n_new in self._groups(blocks):
            if carry is None:
                carry = to_device(empty_carry((self._n_carried, len(chunk)), length, step, chunk), self.device)
            if chunk.any():
                n_segments = (chunk.shape[-1] - length + step) // (T * step)
                stems, carry = self._compute(_Group(chunk, carry, n_segments))
            else:
                stems, carry = self._faded_out(carry, chunk.shape[-1])
            skipped, lead = min(lead, n_new), max(0, lead - n_new)
            if n_new > skipped:
                span = slice(skipped, n_new)
                yield SeparatedBlock(chunk[:, span], stems[..., span])

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

    @torch.inference_mode()
    def _separate_groups(self, groups: Sequence[_Group]) -> list[_Separated]:
        """Separate groups of one or several songs, using the network once for all of them."""
        self._wait_for_room()
        chunks = [to_device(group.chunk, self.device) for group in groups]
        segments = [self._segments(chunk) for chunk in chunks]
        carries = [group.carry for group in groups]
        separated = [
            self._resynthesised(*of) for of in zip(chunks, carries, segments, self._estimates(segments), strict=True)
        ]
        if self.device.type == "cuda":
            self._launched.append(torch.cuda.current_stream(self.device).record_event())
        return separated

    def _wait_for_room(self) -> None:
        while len(self._launched) >= _LAUNCHES_AHEAD:
            self._launched.popleft().synchronize()

    def _segments(self, chunk: Tensor) -> Tensor:
        """A chunk's spectra (segments, channels, T, bins)."""
        spectra = stft(chunk, self.configuration.frame_length, self.configuration.frame_step)
        return partition(spectra, self.configuration.T)

    def _estimates(self, segments: Sequence[Tensor]) -> Sequence[Tensor]:
        """The stems' magnitudes (stems, segments, channels, T, F) for each of several spectra."""
        seen = [magnitudes(spectra[..., : self.configuration.F]) for spectra in segments]
        if len(seen) < 2:
            return [self._network(alone) for alone in seen]
        together: Tensor = self._network(torch.cat(seen))
        return torch.split(together, [len(one) for one in seen], dim=1)

    def _resynthesised(self, chunk: Tensor, carry: Tensor, segments: Tensor, estimates: Tensor) -> _Separated:
        """A group's stems from its spectra (segments, channels, T, bins) and the estimates of its stems."""
        spectra = (self._by_wiener_filter if self._mwf else self._by_ratio_masks)(estimates, segments)
        step = self.configuration.frame_step
        stems = [inverse_stft(stem, left, step) for left, stem in zip(carry, spectra)]  # noqa: B905 - maybe not the last
        samples, carry = (torch.stack(tensors) for tensors in zip(*stems, strict=True))
        return self._with_rest(chunk, samples), carry

    def _faded_out(self, carry: Tensor, n_samples: int) -> _Separated:
        """Digital silence of `n_samples`: its stems are what is carried into it, and then silent."""
        n_complete = n_samples - carry.shape[-1]
        samples = pad(carry, (0, n_complete))
        stems = self._with_rest(carry.new_zeros(carry.shape[1], n_complete), samples[..., :n_complete])
        return stems, samples[..., n_complete:]

    @property
    def _n_carried(self) -> int:
        """Stems that are synthesised."""
        return len(self.configuration.instrument_list) - self._last_is_rest

    def _with_rest(self, mixture: Tensor, stems: Tensor) -> Tensor:
        """The stems, and if it is not synthesised, what they leave of the mixture as the last one."""
        if not self._last_is_rest:
            return stems
        rest = mixture[:, : stems.shape[-1]] - stems.sum(dim=0)
        return torch.cat([stems, rest[None]])

    def _by_ratio_masks(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        """Stem spectra (channels, frames, bins) one after the other, so that one at a time is held."""
        for mask in ratio_masks(estimates, self.configuration.separation_exponent):
            yield join(apply_mask(mask, segments, self.configuration.mask_extension))

    def _by_wiener_filter(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        wide = pad(estimates, (0, self.configuration.n_bins - self.configuration.F))
        yield from wiener_filter(join(wide), join(segments))
