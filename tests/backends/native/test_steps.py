"""The steps of a convolution, followed one by one, give what torch's convolutions give."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from spleeter.backends.native.steps import LANES, Geometry, Steps, steps_of

Array = npt.NDArray[np.float64]

GEOMETRIES = [
    Geometry(5, 2, 2),
    Geometry(4, 2, 1),
    Geometry(3, 1, 1),
    Geometry(1, 1, 0),
    Geometry(5, 2, 2, is_transposed=True),
    Geometry(4, 2, 1, is_transposed=True),
]
N_INPUTS = [16, 32, 48, 64]


def followed(steps: Steps, x: Array, weight: Array, rows: int, columns: int) -> Array:
    """Convolve x (height, width, inputs) by weight (inputs, outputs, rows, columns) into (rows, columns, outputs)."""
    height, width, n_inputs = x.shape
    n = steps.padding + steps.stride * max(rows, columns) + steps.reach
    padded = np.zeros((n, n, n_inputs))
    padded[steps.padding :, steps.padding :][:height, :width] = x
    flat = padded.reshape(n, n * n_inputs)
    output = np.zeros((rows, columns, weight.shape[1]))
    for phase, of_phase in enumerate(steps.phases):
        down, across = divmod(phase, steps.factor)
        for y in range(rows // steps.factor):
            for x_ in range(columns // steps.factor):
                for step in of_phase:
                    first = (x_ * steps.stride + step.column) * n_inputs + step.channel
                    taken = flat[y * steps.stride + step.row, first : first + 2 * LANES]
                    for numbers, (row, column, channel) in zip(taken.reshape(2, LANES), step.factors, strict=True):
                        if row >= 0:
                            place = y * steps.factor + down, x_ * steps.factor + across
                            output[place] += numbers @ weight[channel : channel + LANES, :, row, column]
    return output


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_steps_add_up_to_the_convolution(geometry: Geometry, n_inputs: int) -> None:
    random = np.random.default_rng(0)
    x, weight = random.normal(size=(6, 8, n_inputs)), random.normal(size=(n_inputs, 3, geometry.size, geometry.size))
    image, kernel = torch.from_numpy(x).permute(2, 0, 1)[None], torch.from_numpy(weight)
    if geometry.is_transposed:
        beside = geometry.stride - geometry.size + 2 * geometry.padding  # so that sizes are multiplied
        expected = functional.conv_transpose2d(image, kernel, None, geometry.stride, geometry.padding, beside)
    else:
        expected = functional.conv2d(image, kernel.transpose(0, 1), None, geometry.stride, geometry.padding)
    rows, columns = geometry.output(6), geometry.output(8)
    assert expected.shape[2:] == (rows, columns)
    given = followed(steps_of(geometry, n_inputs), x, weight, rows, columns)
    np.testing.assert_allclose(given, expected[0].permute(1, 2, 0).numpy(), atol=1e-10)


@pytest.mark.parametrize(("n_inputs", "n_steps"), [(16, 15), (32, 25), (48, 40), (64, 50)])
def test_blocks_that_lie_side_by_side_share_a_step(n_inputs: int, n_steps: int) -> None:
    """Of the 5 × 5 places of a kernel, at 16 inputs: five to a row are two pairs and one alone."""
    assert sum(map(len, steps_of(Geometry(5, 2, 2), n_inputs).phases)) == n_steps


def test_transposed_convolutions_have_no_step_for_zeros() -> None:
    assert [len(phase) for phase in steps_of(Geometry(5, 2, 2, is_transposed=True), 32).phases] == [9, 6, 6, 4]


def test_rows_whose_end_is_left_out_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves out"):
        steps_of(Geometry(4, 4, 0), 16)
