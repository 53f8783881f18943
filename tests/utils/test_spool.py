"""A spool gives its blocks back, and nothing is seen of its file."""

from pathlib import Path

import numpy as np
import pytest

from spleeter.errors import EncodeError
from spleeter.utils.spool import Spool


@pytest.mark.parametrize("sizes", [[], [1], [70_000, 3, 200_000]])
def test_blocks_come_back_in_order(tmp_path: Path, sizes: list[int]) -> None:
    spool = Spool(tmp_path, 2)
    blocks = [np.random.default_rng(size).standard_normal((size, 2)).astype(np.float32) for size in sizes]
    for block in blocks:
        spool.write(block)
    assert not list(tmp_path.iterdir())
    empty = np.zeros((0, 2), np.float32)
    np.testing.assert_array_equal(np.concatenate([empty, *spool.blocks()]), np.concatenate([empty, *blocks]))
    spool.close()
    spool.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="cannot keep a temporary file in"):
        Spool(tmp_path / "absent", 2)
