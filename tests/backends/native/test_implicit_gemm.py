"""The K blocks of a convolution, multiplied one by one in NumPy, add up to torch's convolutions."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from spleeter.backends.native.implicit_gemm import LANES, ConvGeometry, ImplicitGemm, implicit_gemm

Array = npt.NDArray[np.float64]

GEOMETRIES = [
    ConvGeometry(5, 2, 2),
    ConvGeometry(4, 2, 1),
    ConvGeometry(3, 1, 1),
    ConvGeometry(1, 1, 0),
    ConvGeometry(5, 2, 2, is_transposed=True),
    ConvGeometry(4, 2, 1, is_transposed=True),
]
IN_CHANNELS = [16, 32, 48, 64]


def convolve(gemm: ImplicitGemm, x: Array, weight: Array, rows: int, columns: int) -> Array:
    """x (height, width, inputs), weight (inputs, outputs, rows, columns) -> output (rows, columns, outputs)."""
    height, width, in_channels = x.shape
    size = gemm.padding + gemm.stride * max(rows, columns) + gemm.patch_size
    padded = np.zeros((size, size, in_channels))
    padded[gemm.padding :, gemm.padding :][:height, :width] = x
    flat = padded.reshape(size, size * in_channels)
    output = np.zeros((rows, columns, weight.shape[1]))
    for phase, blocks in enumerate(gemm.phases):
        phase_row, phase_column = divmod(phase, gemm.upsampling)
        for i in range(rows // gemm.upsampling):
            for j in range(columns // gemm.upsampling):
                for block in blocks:
                    first = (j * gemm.stride + block.column) * in_channels + block.channel
                    values = flat[i * gemm.stride + block.row, first : first + 2 * LANES]
                    for half, (row, column, channel) in zip(values.reshape(2, LANES), block.slices, strict=True):
                        if row >= 0:
                            pixel = i * gemm.upsampling + phase_row, j * gemm.upsampling + phase_column
                            output[pixel] += half @ weight[channel : channel + LANES, :, row, column]
    return output


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("in_channels", IN_CHANNELS)
def test_k_blocks_add_up_to_the_convolution(geometry: ConvGeometry, in_channels: int) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 8, in_channels))
    weight = random.normal(size=(in_channels, 3, geometry.kernel_size, geometry.kernel_size))
    image, kernel = torch.from_numpy(x).permute(2, 0, 1)[None], torch.from_numpy(weight)
    if geometry.is_transposed:
        output_padding = geometry.stride - geometry.kernel_size + 2 * geometry.padding  # so that sizes are multiplied
        expected = functional.conv_transpose2d(image, kernel, None, geometry.stride, geometry.padding, output_padding)
    else:
        expected = functional.conv2d(image, kernel.transpose(0, 1), None, geometry.stride, geometry.padding)
    rows, columns = geometry.output_size(6), geometry.output_size(8)
    assert expected.shape[2:] == (rows, columns)
    output = convolve(implicit_gemm(geometry, in_channels), x, weight, rows, columns)
    np.testing.assert_allclose(output, expected[0].permute(1, 2, 0).numpy(), atol=1e-10)


@pytest.mark.parametrize(("in_channels", "n_blocks"), [(16, 15), (32, 25), (48, 40), (64, 50)])
def test_consecutive_halves_share_a_k_block(in_channels: int, n_blocks: int) -> None:
    """Of a 5 × 5 kernel with 16 input channels, the five taps of a row are two pairs and one alone."""
    assert sum(map(len, implicit_gemm(ConvGeometry(5, 2, 2), in_channels).phases)) == n_blocks


def test_transposed_convolutions_do_not_multiply_zeros() -> None:
    """Of 5 × 5 taps with stride 2, even pixels meet 3 and odd ones 2 along each axis."""
    gemm = implicit_gemm(ConvGeometry(5, 2, 2, is_transposed=True), 32)
    assert [len(phase) for phase in gemm.phases] == [9, 6, 6, 4]


def test_geometries_that_leave_out_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"leaves out columns .* padding must be at least stride - 2"):
        implicit_gemm(ConvGeometry(4, 4, 0), 16)
