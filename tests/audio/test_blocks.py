"""The downmix of many channels, against FFmpeg's published coefficients."""

import numpy as np
import pytest

from spleeter.audio.blocks import downmix_matrix

C = 2**-0.5


@pytest.mark.parametrize(
    ("layout", "left"),
    [
        ("stereo", [1, 0]),
        ("3.0", [1, 0, C]),
        ("quad", [1, 0, C, 0]),
        ("5.0", [1, 0, C, C, 0]),
        ("5.1", [1, 0, C, 0, C, 0]),
        ("5.1(side)", [1, 0, C, 0, C, 0]),
        ("7.1", [1, 0, C, 0, C, 0, C, 0]),
    ],
)
def test_known_layouts_have_the_standard_weights(layout: str, left: list[float]) -> None:
    weights = np.array(left) / np.sum(left)
    matrix = downmix_matrix(layout, 2)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix[0], weights, atol=2e-4)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=2e-4)  # full scale everywhere stays full scale


@pytest.mark.parametrize("layout", ["5.1", "7.1", "7.1.4", "hexadecagonal", "2.1"])
def test_left_and_right_are_mirror_images_and_never_exceed_full_scale(layout: str) -> None:
    left, right = downmix_matrix(layout, 2)
    assert sorted(left) == sorted(right)
    assert np.abs([left, right]).sum(axis=1).max() <= 1 + 1e-5


def test_mono_is_the_mean_of_stereo() -> None:
    np.testing.assert_allclose(downmix_matrix("stereo", 1), [[0.5, 0.5]])


def test_a_layout_known_by_number_alone_is_ffmpegs_default() -> None:
    np.testing.assert_array_equal(downmix_matrix("6 channels", 2), downmix_matrix("5.1", 2))


@pytest.mark.parametrize("layout", ["9 channels", "ambisonic 1"])
def test_a_layout_that_ffmpeg_cannot_mix_keeps_the_first_channels(layout: str) -> None:
    matrix = downmix_matrix(layout, 2)
    np.testing.assert_array_equal(matrix, np.eye(*matrix.shape))
