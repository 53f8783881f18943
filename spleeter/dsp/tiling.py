"""Where segments of T frames lie on a song: end to end, or overlapping and cross-faded."""

from dataclasses import dataclass

import torch
from torch import Tensor

_CYCLE = 64
"""Frames after which a U-Net sees the same grid again: it halves time six times."""


@dataclass(frozen=True)
class Tiling:
    """One segment of `T` frames every `hop` frames, and as many again at each further offset.

    What is estimated for a frame is the mean over the segments that cover it, weighted so that a segment fades in
    and out where others overlap it. Without overlap and offsets that is the one segment's own estimate.

    The first segment begins with the song, so the frames there lie in fewer segments and have less weight in all.
    Masks do not mind, but for their epsilons: they are ratios of estimates for the same frame. Silence put in front
    instead would be heard by the network, which does worse after it.

    Attributes:
        T: frames of a segment.
        hop: frames from a segment to the next, at most T.
        offsets: where in a hop segments begin, in frames: 0, and further ones in ascending order.
    """

    T: int
    hop: int
    offsets: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, T: int, overlap: float = 0.0, shifts: int = 1) -> "Tiling":
        """Segments that share `overlap` of their length with the next, in `shifts` layers.

        The layers' offsets share out the cycle of a U-Net's strides evenly: what it makes of a sound depends on
        where on that grid the sound begins, and the mean over the layers depends on it less.
        """
        return cls(T, max(1, T - round(T * overlap)), tuple(layer * _CYCLE // shifts for layer in range(shifts)))

    @property
    def n_ahead(self) -> int:
        """How many frames the segments of a hop reach beyond it."""
        return self.T - self.hop + self.offsets[-1]

    def starts(self, n_hops: int) -> list[int]:
        """The first frame of each of the segments that begin within `n_hops` hops."""
        return [hop * self.hop + offset for hop in range(n_hops) for offset in self.offsets]

    def weights(self, device: torch.device) -> Tensor:
        """The weight of each frame of a segment (T, 1): all that cover a frame add up to 1."""
        from_edge = torch.arange(self.T) + 0.5
        from_edge = torch.minimum(from_edge, self.T - from_edge)
        fade = max(0.5, min(self.T - self.hop, self.T / 2))  # frames; half a frame is no fade at all
        weights = (from_edge / fade).clamp(max=1.0)
        position = torch.arange(self.T) % self.hop
        total = torch.zeros(self.hop).index_add(0, position, weights)  # of a layer, over a hop
        return (weights / total[position] / len(self.offsets))[:, None].to(device)
