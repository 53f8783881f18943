"""Laws of the tilings: every frame is covered, with weights that add up to one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.dsp.tiling import Tiling


def covered(tiling: Tiling, n_hops: int) -> np.ndarray:
    """The total weight of each frame."""
    total = np.zeros(n_hops * tiling.hop + tiling.n_ahead, np.float32)
    for start in tiling.starts(n_hops):
        total[start : start + tiling.T] += tiling.weights()[:, 0]
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
    np.testing.assert_allclose(complete, 1, atol=2e-6)


@pytest.mark.parametrize("T", [64, 512])
def test_without_overlap_each_frame_has_one_segment(T: int) -> None:
    tiling = Tiling.of(T)
    assert tiling.n_ahead == 0
    assert tiling.starts(3) == [0, T, 2 * T]
    assert np.array_equal(tiling.weights(), np.ones((T, 1)))


def test_segments_fade_where_they_overlap_and_nowhere_else() -> None:
    weights = Tiling.of(512, 0.25).weights()[:, 0]
    assert np.array_equal(weights, weights[::-1])
    np.testing.assert_allclose(weights[:128], (np.arange(128) + 0.5) / 128, rtol=1e-6)
    assert np.array_equal(weights[128:384], np.ones(256))


def test_half_overlap_is_a_triangle() -> None:
    weights = Tiling.of(8, 0.5).weights()[:, 0]
    np.testing.assert_allclose(weights, np.array([1, 3, 5, 7, 7, 5, 3, 1]) / 8, rtol=1e-6)


def test_layers_divide_the_period_of_the_strides_evenly() -> None:
    tiling = Tiling.of(512, 0.5, 3)
    assert tiling.offsets == (0, 21, 42)
    assert tiling.n_ahead == 256 + 42
    assert tiling.starts(2) == [0, 21, 42, 256, 277, 298]


def test_any_overlap_leaves_a_hop() -> None:
    assert Tiling.of(64, 0.999).hop == 1
