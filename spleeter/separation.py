"""The whole way on one page: blocks of waveform in, blocks of stems out.

    blocks of samples  ->  groups of frames  ->  STFT  ->  network  ->  masks  ->  inverse STFT  ->  blocks of stems

A whole waveform goes the very same way, as one block. Blocks of any size are regrouped into groups that are
counted from the first frame, so what comes out does not depend on how the samples came in, to the last bit.
Nothing grows with the length: one group of frames and the overlap to the next is all that is held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spleeter.configuration import Configuration
from spleeter.masking.ratio import extend_mask, ratio_masks
from spleeter.masking.wiener import wiener_filter
from spleeter.spectral.segments import join, partition
from spleeter.spectral.stft import chunk_length, empty_carry, inverse_stft, n_frames, stft

_SEGMENTS_PER_GROUP = {"cpu": 1, "mps": 4, "cuda": 8}
_SEGMENTS_PER_WIENER_GROUP = 4
"""The Wiener filter's statistics are taken over a group: 4 segments are 48 s in the released models."""


@dataclass(frozen=True)
class SeparatedBlock:
    """Consecutive samples of the mixture (channels, samples) and of its stems (stems, channels, samples)."""

    mixture: Tensor
    stems: Tensor


class Separation:
    """A network with the configuration around it, on one device.

    Args:
        configuration: audio and separation keys.
        network: magnitudes (batch, channels, T, F) -> stem magnitudes (stems, batch, channels, T, F).
        device: where everything from waveform to waveform is computed.
        mwf: whether the stems are made by the multichannel Wiener filter rather than by ratio masks.
    """

    def __init__(
        self, configuration: Configuration, network: nn.Module, device: torch.device, mwf: bool = False
    ) -> None:
        self.configuration = configuration
        self.device = device
        if (
            device.type == "cuda"
        ):  # a switch for the whole process: with TF32, 72 dB of the original's samples are left
            torch.backends.cudnn.allow_tf32 = False
        self._network = network.to(device).eval()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stem_spectra = self._by_wiener_filter if mwf else self._by_ratio_masks
        self._group_size = _SEGMENTS_PER_WIENER_GROUP if mwf else _SEGMENTS_PER_GROUP[device.type]

    def separate(self, waveform: Tensor) -> Tensor:
        """Separate a whole waveform (channels, samples) into stems (stems, channels, samples)."""
        blocks = [block.stems for block in self.separate_blocks([waveform])]
        empty = waveform.new_zeros((len(self.configuration.instrument_list), len(waveform), 0))
        return torch.cat([empty.to(self.device), *blocks], dim=-1)

    @torch.inference_mode()
    def separate_blocks(self, blocks: Iterable[Tensor]) -> Iterator[SeparatedBlock]:
        """Separate a waveform that comes in blocks (channels, samples), of any sizes, as it comes.

        Yields:
            Blocks on this separation's device that, put end to end, are as long as the input.
        """
        lead = self.configuration.frame_length  # the zeros in front, which the output is to lose again
        carry: Tensor | None = None
        for chunk, n_new in self._groups(blocks):
            if carry is None:
                carry = self._empty_carry(chunk)
            stems, carry = self._separate_group(chunk, carry)
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
        buffer = torch.zeros((self.configuration.n_channels, length), device=self.device)
        received = 0
        for block in blocks:
            received += block.shape[-1]
            buffer = torch.cat([buffer, block.to(self.device, torch.float32)], dim=-1)
            while buffer.shape[-1] >= reach:
                yield buffer[:, :reach], advance
                buffer = buffer[:, advance:]
        if received:
            yield from self._last_groups(buffer)

    def _last_groups(self, buffer: Tensor) -> Iterator[tuple[Tensor, int]]:
        """The end of the waveform, with zeros up to the next whole segment."""
        length, step, T = (
            self.configuration.frame_length,
            self.configuration.frame_step,
            self.configuration.T,
        )
        n_left = buffer.shape[-1]
        segments = -(-n_frames(n_left - length, length, step) // T)
        for first in range(0, segments, self._group_size):
            frames = min(self._group_size, segments - first) * T
            start, reach = first * T * step, chunk_length(frames, length, step)
            chunk = buffer[:, start : start + reach]
            padding = buffer.new_zeros((len(buffer), reach - chunk.shape[-1]))
            yield torch.cat([chunk, padding], dim=-1), min(frames * step, n_left - start)

    def _empty_carry(self, chunk: Tensor) -> Tensor:
        batch = (len(self.configuration.instrument_list), len(chunk))
        return empty_carry(batch, self.configuration.frame_length, self.configuration.frame_step, chunk)

    def _separate_group(self, chunk: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """Separate a chunk (channels, samples) of whole segments: complete samples, and the next carry."""
        spectra = stft(chunk, self.configuration.frame_length, self.configuration.frame_step)
        segments = partition(spectra, self.configuration.T)
        magnitudes = segments[..., : self.configuration.F].abs()
        estimates = self._network(magnitudes.contiguous(memory_format=torch.channels_last))
        return self._overlap_added(self._stem_spectra(estimates, segments), carry)

    def _overlap_added(self, stems: Iterable[Tensor], carry: Tensor) -> tuple[Tensor, Tensor]:
        step = self.configuration.frame_step
        pairs = [inverse_stft(stem, left, step) for stem, left in zip(stems, carry, strict=True)]
        return torch.stack([samples for samples, _ in pairs]), torch.stack([left for _, left in pairs])

    def _by_ratio_masks(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        """Stem spectra (channels, frames, bins) one after the other, so that one at a time is held."""
        masks = ratio_masks(estimates, self.configuration.separation_exponent)
        for mask in masks:
            extended = extend_mask(mask, self.configuration.n_bins, self.configuration.mask_extension)
            yield join(extended * segments)

    def _by_wiener_filter(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        extended = extend_mask(estimates, self.configuration.n_bins, "zeros")
        yield from wiener_filter(join(extended), join(segments))
