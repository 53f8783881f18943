"""The kinds of arrays that the functions of `dsp` are written for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(params=[np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def array(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    """Make a NumPy array an array of one of the kinds; `numpy.asarray` makes it NumPy's again."""
    kind: Callable[[np.ndarray], Any] = request.param
    return kind
