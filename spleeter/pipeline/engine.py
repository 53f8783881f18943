"""Groups of segments in, their stems out: the arithmetic of separation, on one device.

samples  ->  STFT  ->  magnitudes  ->  network  ->  masks  ->  inverse STFT  ->  samples of the stems
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spleeter.backends.torch.inference import prepare_for_inference
from spleeter.backends.torch.transfer import to_device
from spleeter.configuration import Configuration
from spleeter.dsp.masks import apply_mask, ratio_masks
from spleeter.dsp.stft import chunk_length, empty_carry, inverse_stft, magnitudes, stft
from spleeter.dsp.tiling import Tiling
from spleeter.dsp.wiener import soft_masks, spatial_model, wiener_filter

_LAUNCHES_AHEAD = 2
"""Batches that may wait on a CUDA device: enough that it never waits, few enough that songs gather meanwhile."""


@dataclass(frozen=True)
class Carry:
    """What a group leaves over for the next, on the device.

    Attributes:
        samples: of the stems to be synthesised, for the next group to add to: (stems, channels, samples).
        estimates: so far, of the frames that the group's segments reach beyond it: (stems, channels, frames, F).
    """

    samples: Tensor
    estimates: Tensor


@dataclass(frozen=True)
class Group:
    """Consecutive hops of a song.

    `chunk` (channels, samples), on the host, reaches over all the frames of the segments that begin in them; `carry`
    is what the group before has left over, or `empty_carry`. `n_threads` is what the caller's torch computes with on
    a CPU.
    """

    chunk: Tensor
    carry: Carry
    n_hops: int
    n_threads: int


Separated: TypeAlias = tuple[Tensor, Carry]
"""A group's complete samples (stems, channels, samples), and what it leaves over for the next group.

The channels of a sample lie side by side, as whoever takes them wants them.
"""

HOPS_AT_ONCE = {"cpu": 1, "mps": 4, "cuda": 8}
"""How much of a song is computed at once, by the kind of device: a hop is a segment less what overlaps the next."""

_SEGMENTS_AT_ONCE = {"cpu": 1, "mps": 4, "cuda": 32}
"""Segments that the network is given at once; of several songs, if they are separated at the same time."""


@dataclass(frozen=True)
class _Heard:
    """Hops of a song on the way from samples to stems.

    `chunk` (channels, samples) reaches over the hops' segments; of the frames of the hops themselves there are
    `spectra` (channels, frames, bins) and the stems' `masks` (stems, channels, frames, F).
    """

    chunk: Tensor
    spectra: Tensor
    masks: Tensor


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
        tiling: Tiling,
        exact: bool,
    ) -> None:
        self._configuration = configuration
        self._device = device
        self._network = prepare_for_inference(network, device, precision)
        self._mwf = mwf
        self._tiling = tiling
        self._exact = exact
        self._weights = tiling.weights(device)
        # Average masks let through all there is in every bin, so the last stem is what the others leave.
        several = len(configuration.instrument_list) > 1
        self._last_is_rest = several and configuration.mask_extension == "average"
        self._n_synthesised = len(configuration.instrument_list) - self._last_is_rest
        self._launched: deque[torch.cuda.Event] = deque()

    @property
    def capacity(self) -> int:
        """Hops that are worth being given at once."""
        return max(1, _SEGMENTS_AT_ONCE[self._device.type] // len(self._tiling.offsets))

    @torch.inference_mode()
    def __call__(self, groups: Sequence[Group]) -> list[Separated]:
        """Separate groups; those of digital silence are not computed."""
        if torch.get_num_threads() != groups[0].n_threads:  # it is set for each thread on its own
            torch.set_num_threads(groups[0].n_threads)
        sounding = [bool(group.chunk.any()) for group in groups]
        separated = iter(self._separated(list(compress(groups, sounding))))
        return [
            next(separated) if sounds else self._faded_out(group)
            for group, sounds in zip(groups, sounding, strict=True)
        ]

    def _separated(self, groups: Sequence[Group]) -> list[Separated]:
        """Separate groups that sound."""
        self._wait_for_room()
        heard: list[list[_Heard]] = [[] for _ in groups]
        ahead = [group.carry.estimates for group in groups]
        size = HOPS_AT_ONCE[self._device.type]
        for first in range(0, max((group.n_hops for group in groups), default=0), size):
            numbers = [number for number, group in enumerate(groups) if first < group.n_hops]
            chunks = [self._part(groups[number], first, size) for number in numbers]
            parts = self._heard(chunks, [ahead[number] for number in numbers])
            for number, (part, carried) in zip(numbers, parts, strict=True):
                heard[number].append(part)
                ahead[number] = carried
        separated = [self._resynthesised(*of) for of in zip(heard, groups, ahead, strict=True)]
        if self._device.type == "cuda":
            self._launched.append(torch.cuda.current_stream(self._device).record_event())
        return separated

    def empty_carry(self) -> Carry:
        """What is carried into a song's first group."""
        keys, nothing = self._configuration, torch.zeros((), device=self._device)
        waveforms = self._n_synthesised, keys.n_channels
        samples = empty_carry(waveforms, keys.frame_length, keys.frame_step, nothing)
        shape = len(keys.instrument_list), keys.n_channels, self._tiling.n_ahead, keys.F
        return Carry(samples, torch.zeros(shape, device=self._device))

    def _faded_out(self, group: Group) -> Separated:
        """Hops of digital silence: their stems are what is carried into them, and then silent."""
        n_complete = group.n_hops * self._tiling.hop * self._configuration.frame_step
        samples = pad(group.carry.samples, (0, n_complete))
        stems = self._interleaved(samples.new_zeros(samples.shape[1:]), samples)
        left_over = Carry(samples[..., n_complete:], torch.zeros_like(group.carry.estimates))
        return stems[:, :n_complete].transpose(-1, -2), left_over

    def _wait_for_room(self) -> None:
        while len(self._launched) >= _LAUNCHES_AHEAD:
            self._launched.popleft().synchronize()

    def _part(self, group: Group, first: int, n_hops: int) -> Tensor:
        """What the segments of some of a group's hops reach over, on the device."""
        keys = self._configuration
        frames = min(n_hops, group.n_hops - first) * self._tiling.hop + self._tiling.n_ahead
        start = first * self._tiling.hop * keys.frame_step
        reach = chunk_length(frames, keys.frame_length, keys.frame_step)
        return to_device(group.chunk[:, start : start + reach], self._device)

    def _heard(self, chunks: Sequence[Tensor], ahead: Sequence[Tensor]) -> list[tuple[_Heard, Tensor]]:
        """Analyse parts of several songs together.

        Args:
            chunks: of each song (channels, samples).
            ahead: of each song the estimates so far of the frames that the segments before it reach into.

        Returns:
            For each song what was heard, and the estimates so far of the frames that this reaches into.
        """
        keys = self._configuration
        spectra = [stft(chunk, keys.frame_length, keys.frame_step) for chunk in chunks]
        n_frames = [spectrum.shape[1] - self._tiling.n_ahead for spectrum in spectra]
        means = [pad(estimates, (0, 0, 0, n)) for estimates, n in zip(ahead, n_frames, strict=True)]
        self._add_estimates([magnitudes(spectrum[..., : keys.F]) for spectrum in spectra], means)
        return [
            (_Heard(chunk, spectrum[:, :n], self._masks(mean[..., :n, :])), mean[..., n:, :].clone())
            for chunk, spectrum, mean, n in zip(chunks, spectra, means, n_frames, strict=True)
        ]

    def _add_estimates(self, seen: Sequence[Tensor], means: Sequence[Tensor]) -> None:
        """Have all segments estimated, and add them, weighted, to the mean estimate of each frame.

        Args:
            seen: the mixture's magnitudes (channels, frames, F), of each song.
            means: what is added to (stems, channels, frames, F), of each song.
        """
        T, hop = self._tiling.T, self._tiling.hop
        places = [
            (heard[:, start : start + T], mean[..., start : start + T, :])
            for heard, mean in zip(seen, means, strict=True)
            for start in self._tiling.starts((heard.shape[1] - self._tiling.n_ahead) // hop)
        ]
        size = _SEGMENTS_AT_ONCE[self._device.type]
        for first in range(0, len(places), size):
            batch = places[first : first + size]
            estimates = self._network(torch.stack([heard for heard, _ in batch]))
            for (_, mean), estimate in zip(batch, estimates.unbind(1), strict=True):
                mean.addcmul_(estimate, self._weights)

    def _resynthesised(self, heard: Sequence[_Heard], group: Group, ahead: Tensor) -> Separated:
        """A group's stems from the parts of it that were heard."""
        samples, left_over = [], group.carry.samples
        for part, stems in zip(heard, self._stem_spectra(heard), strict=True):
            synthesised = [
                inverse_stft(stem, left, self._configuration.frame_step)
                for stem, left in zip(stems, left_over, strict=True)
            ]
            complete, ends = zip(*synthesised, strict=True)
            left_over = torch.stack(ends)
            samples.append(self._interleaved(part.chunk, complete))
        stems = torch.cat(samples, dim=1) if len(samples) > 1 else samples[0]
        return stems.transpose(-1, -2), Carry(left_over, ahead)

    def _interleaved(self, mixture: Tensor, synthesised: Iterable[Tensor]) -> Tensor:
        """All stems (stems, samples, channels), from those (channels, samples) that are synthesised.

        If the last one is not, it is what the others leave of the mixture.
        """
        stems = list(synthesised)
        if self._last_is_rest:
            rest = mixture[:, : stems[0].shape[-1]] - stems[0]
            for stem in stems[1:]:
                rest -= stem
            stems.append(rest)
        return torch.stack([stem.transpose(-1, -2) for stem in stems])

    def _masks(self, estimates: Tensor) -> Tensor:
        return soft_masks(estimates) if self._mwf else ratio_masks(estimates, self._configuration.separation_exponent)

    def _stem_spectra(self, heard: Sequence[_Heard]) -> Iterator[Iterable[Tensor]]:
        """Of each part the spectra (channels, frames, bins) of the stems to be synthesised."""
        if self._mwf:
            return self._by_wiener_filter(heard)
        return (self._by_ratio_masks(part) for part in heard)

    def _by_ratio_masks(self, part: _Heard) -> Iterator[Tensor]:
        """Stems one after the other, so that one at a time is held."""
        for mask in part.masks[: self._n_synthesised]:
            yield apply_mask(mask, part.spectra, self._configuration.mask_extension)

    def _by_wiener_filter(self, heard: Sequence[_Heard]) -> Iterator[Tensor]:
        """All stems of one part after the other; the filter's statistics are taken over all of them."""
        F, extension = self._configuration.F, self._configuration.mask_extension
        seen = [part.spectra[..., :F] for part in heard]
        model = spatial_model([part.masks for part in heard], seen, as_norbert=self._exact)
        for part, spectra in zip(heard, seen, strict=True):
            masks = part.masks[: self._n_synthesised]
            stems = torch.stack([apply_mask(mask, part.spectra, extension) for mask in masks])
            wiener_filter(part.masks, spectra, model, stems[..., :F])
            yield stems
