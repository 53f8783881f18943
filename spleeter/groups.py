"""Groups of segments in, their stems out: the arithmetic of separation, on one device.

samples  ->  STFT  ->  magnitudes  ->  network  ->  masks  ->  inverse STFT  ->  samples of the stems
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spleeter.configuration import Configuration
from spleeter.masking.ratio import apply_mask, ratio_masks
from spleeter.masking.wiener import wiener_filter
from spleeter.model.inference import for_inference
from spleeter.spectral.segments import join, partition
from spleeter.spectral.stft import empty_carry, inverse_stft, magnitudes, stft
from spleeter.transfer import to_device

_LAUNCHES_AHEAD = 2
"""Batches that may wait on a CUDA device: enough that it never waits, few enough that songs gather meanwhile."""


@dataclass(frozen=True)
class Group:
    """Consecutive segments of a song.

    `chunk` (channels, samples), on the host, reaches over all of their frames; `carry`, on the device, is what the
    group before has left over, or `empty_carry`. `n_threads` is what the caller's torch computes with on a CPU.
    """

    chunk: Tensor
    carry: Tensor
    n_segments: int
    n_threads: int


Separated: TypeAlias = tuple[Tensor, Tensor]
"""A group's complete samples (stems, channels, samples), and what it leaves over for the next group."""


class GroupSeparator:
    """Separates groups of one or several songs, using the network once for all of them.

    Args as for `Separation`.
    """

    def __init__(
        self,
        configuration: Configuration,
        network: nn.Module,
        device: torch.device,
        mwf: bool,
        precision: torch.dtype,
    ) -> None:
        self._configuration = configuration
        self._device = device
        self._network = for_inference(network, device, precision)
        self._mwf = mwf
        # Average masks sum to 1 over the stems in every bin, so the last stem is what the others leave.
        several = len(configuration.instrument_list) > 1
        self._last_is_rest = several and not mwf and configuration.mask_extension == "average"
        self._launched: deque[torch.cuda.Event] = deque()

    @torch.inference_mode()
    def __call__(self, groups: Sequence[Group]) -> list[Separated]:
        """Separate groups."""
        if torch.get_num_threads() != groups[0].n_threads:  # it is set for each thread on its own
            torch.set_num_threads(groups[0].n_threads)
        self._wait_for_room()
        chunks = [to_device(group.chunk, self._device) for group in groups]
        segments = [self._segments(chunk) for chunk in chunks]
        carries = [group.carry for group in groups]
        separated = [
            self._resynthesised(*of) for of in zip(chunks, carries, segments, self._estimates(segments), strict=True)
        ]
        if self._device.type == "cuda":
            self._launched.append(torch.cuda.current_stream(self._device).record_event())
        return separated

    def empty_carry(self) -> Tensor:
        """What is carried into a song's first group."""
        n_stems = len(self._configuration.instrument_list) - self._last_is_rest
        length, step = self._configuration.frame_length, self._configuration.frame_step
        nothing = torch.zeros((), device=self._device)
        return empty_carry((n_stems, self._configuration.n_channels), length, step, nothing)

    def faded_out(self, carry: Tensor, n_samples: int) -> Separated:
        """Digital silence of `n_samples`: its stems are what is carried into it, and then silent."""
        n_complete = n_samples - carry.shape[-1]
        samples = pad(carry, (0, n_complete))
        stems = self._with_rest(carry.new_zeros(carry.shape[1], n_complete), samples[..., :n_complete])
        return stems, samples[..., n_complete:]

    def _wait_for_room(self) -> None:
        while len(self._launched) >= _LAUNCHES_AHEAD:
            self._launched.popleft().synchronize()

    def _segments(self, chunk: Tensor) -> Tensor:
        """A chunk's spectra (segments, channels, T, bins)."""
        spectra = stft(chunk, self._configuration.frame_length, self._configuration.frame_step)
        return partition(spectra, self._configuration.T)

    def _estimates(self, segments: Sequence[Tensor]) -> Sequence[Tensor]:
        """The stems' magnitudes (stems, segments, channels, T, F) for each of several spectra."""
        seen = [magnitudes(spectra[..., : self._configuration.F]) for spectra in segments]
        if len(seen) < 2:
            return [self._network(alone) for alone in seen]
        together: Tensor = self._network(torch.cat(seen))
        return torch.split(together, [len(one) for one in seen], dim=1)

    def _resynthesised(self, chunk: Tensor, carry: Tensor, segments: Tensor, estimates: Tensor) -> Separated:
        """A group's stems from its spectra (segments, channels, T, bins) and the estimates of its stems."""
        spectra = (self._by_wiener_filter if self._mwf else self._by_ratio_masks)(estimates, segments)
        step = self._configuration.frame_step
        stems = [inverse_stft(stem, left, step) for left, stem in zip(carry, spectra)]  # noqa: B905 - maybe not the last
        samples, carry = (torch.stack(tensors) for tensors in zip(*stems, strict=True))
        return self._with_rest(chunk, samples), carry

    def _with_rest(self, mixture: Tensor, stems: Tensor) -> Tensor:
        """The stems, and if it is not synthesised, what they leave of the mixture as the last one."""
        if not self._last_is_rest:
            return stems
        rest = mixture[:, : stems.shape[-1]] - stems.sum(dim=0)
        return torch.cat([stems, rest[None]])

    def _by_ratio_masks(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        """Stem spectra (channels, frames, bins) one after the other, so that one at a time is held."""
        for mask in ratio_masks(estimates, self._configuration.separation_exponent):
            yield join(apply_mask(mask, segments, self._configuration.mask_extension))

    def _by_wiener_filter(self, estimates: Tensor, segments: Tensor) -> Iterator[Tensor]:
        wide = pad(estimates, (0, self._configuration.n_bins - self._configuration.F))
        yield from wiener_filter(join(wide), join(segments))
