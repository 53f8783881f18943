"""Laws of the tilings: every frame is covered, with weights that add up to one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.dsp.tiling import Tiling

CPU = torch.device("cpu")


def covered(tiling: Tiling, n_hops: int) -> torch.Tensor:
    """The total weight of each frame."""
    total = torch.zeros(n_hops * tiling.hop + tiling.n_ahead)
    for start in tiling.starts(n_hops):
        total[start : start + tiling.T] += tiling.weights(CPU)[:, 0]
    return total


@settings(max_examples=50, deadline=None)
@given(
    T=st.sampled_from([64, 128, 512]),
    overlap=st.floats(0, 0.95),
    shifts=st.integers(1, 5),
    n_hops=st.integers(1, 5),
)
def test_weights_add_up_to_one_where_no_segment_is_missing(T: int, overlap: float, shifts: int, n_hops: int) -> None:
    """The first `n_ahead` frames lack the segments before."""
    tiling = Tiling.of(T, overlap, shifts)
    complete = covered(tiling, n_hops)[tiling.n_ahead : n_hops * tiling.hop]
    torch.testing.assert_close(complete, torch.ones_like(complete), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("T", [64, 512])
def test_without_overlap_each_frame_has_one_segment(T: int) -> None:
    tiling = Tiling.of(T)
    assert tiling.n_ahead == 0
    assert tiling.starts(3) == [0, T, 2 * T]
    assert torch.equal(tiling.weights(CPU), torch.ones(T, 1))


def test_segments_fade_where_they_overlap_and_nowhere_else() -> None:
    weights = Tiling.of(512, 0.25).weights(CPU)[:, 0]
    assert torch.equal(weights, weights.flip(0))
    torch.testing.assert_close(weights[:128], (torch.arange(128) + 0.5) / 128)
    assert torch.equal(weights[128:384], torch.ones(256))


def test_half_overlap_is_a_triangle() -> None:
    weights = Tiling.of(8, 0.5).weights(CPU)[:, 0]
    torch.testing.assert_close(weights, torch.tensor([1, 3, 5, 7, 7, 5, 3, 1]) / 8)


def test_layers_share_out_the_cycle_of_the_strides() -> None:
    tiling = Tiling.of(512, 0.5, 3)
    assert tiling.offsets == (0, 21, 42)
    assert tiling.n_ahead == 256 + 42
    assert tiling.starts(2) == [0, 21, 42, 256, 277, 298]


def test_any_overlap_leaves_a_hop() -> None:
    assert Tiling.of(64, 0.999).hop == 1
