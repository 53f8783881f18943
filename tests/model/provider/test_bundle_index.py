"""The index of a checkpoint tells how long its data files are; a damaged one is a ValueError."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleeter.model.provider.bundle_index import shard_sizes
from tests.model.bundle_writer import write_bundle
from tests.model.provider.models import checkpoint_files

INDEX = checkpoint_files(5000)["model.index"]
RECORDED = sorted((Path(__file__).parents[2] / "golden").glob("*/model.index"))


@pytest.mark.parametrize("index", RECORDED, ids=lambda path: path.parent.name)
def test_checkpoints_that_tensorflow_wrote(index: Path) -> None:
    """The data files have no slack, so their sizes are the oracle."""
    data = sorted(index.parent.glob("model.data-*"))
    assert shard_sizes(index.read_bytes()) == [file.stat().st_size for file in data]


@pytest.mark.parametrize("n_shards", [1, 3, 12])
def test_checkpoints_of_several_files(tmp_path: Path, n_shards: int) -> None:
    variables = {f"variable_{i}": np.zeros(i, np.float32) for i in range(1, 20)}
    write_bundle(tmp_path / "model", variables, n_shards)
    sizes = [file.stat().st_size for file in sorted(tmp_path.glob("model.data-*"))]
    assert shard_sizes((tmp_path / "model.index").read_bytes()) == sizes


@pytest.mark.parametrize("length", range(0, len(INDEX), 7))
def test_a_torn_index_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        shard_sizes(INDEX[:length])


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer_or_a_value_error(data: bytes) -> None:
    footer = INDEX[-48:]
    for candidate in (data, data + footer, data + footer[40:]):
        try:
            sizes = shard_sizes(candidate)
        except ValueError:
            continue
        assert all(size >= 0 for size in sizes)
