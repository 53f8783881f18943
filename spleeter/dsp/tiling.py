"""Tiling of a song with segments of T frames: end to end, or overlapping and crossfaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Tiling"]

_SPREAD = 64
"""Frames that the offsets of a network without strides are spread over."""


@dataclass(frozen=True)
class Tiling:
    """Layers of segments of `T` frames, one for each offset; in each a segment begins every `hop` frames.

    The estimate for a frame is the mean over the segments that cover it, weighted so that a segment fades in
    and out where others overlap it. Without overlap and offsets that is the one segment's own estimate.

    The first segment begins with the song, so the frames there lie in fewer segments and have less weight in all.
    That changes no mask, but for its epsilon: masks are ratios of estimates for the same frame. Padding with silence
    in front instead would make the estimates worse, because the network sees it.

    Attributes:
        T: frames of a segment.
        hop: frames from a segment to the next, at most T.
        offsets: where in a hop segments begin, in frames: 0, and further ones in ascending order.
    """

    T: int
    hop: int
    offsets: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, T: int, overlap: float = 0.0, shifts: int = 1, period: int = 1) -> Tiling:
        """Segments that share `overlap` of their length with the next, in `shifts` layers.

        The layers' offsets divide the `period` evenly, the frames after which the strides of a network repeat (1 for
        a network without strides): its estimate for a frame depends on where on that grid the frame lies, and the
        mean over the layers depends on it less.
        """
        spread = period if period > 1 else _SPREAD
        offsets = tuple(layer * spread // shifts for layer in range(shifts))
        return cls(T, max(1, T - round(T * overlap)), offsets)

    @property
    def n_ahead(self) -> int:
        """How many frames the segments of a hop extend beyond it."""
        return self.T - self.hop + self.offsets[-1]

    def starts(self, n_hops: int) -> list[int]:
        """The first frame of each of the segments that begin within `n_hops` hops."""
        return [hop * self.hop + offset for hop in range(n_hops) for offset in self.offsets]

    def weights(self) -> npt.NDArray[np.float32]:
        """The weight of each frame of a segment (T, 1): those of all segments that cover a frame add up to 1."""
        from_edge = np.arange(self.T) + 0.5
        from_edge = np.minimum(from_edge, self.T - from_edge)
        fade = max(0.5, min(self.T - self.hop, self.T / 2))  # frames; half a frame: all weights are 1
        weights = np.minimum(from_edge / fade, 1.0)
        position = np.arange(self.T) % self.hop
        total = np.bincount(position, weights, self.hop)  # of a layer, over a hop
        weights = weights / total[position] / len(self.offsets)
        return np.asarray(weights[:, None], np.float32)
