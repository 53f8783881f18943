"""The array namespace of an array: what the functions here call `xp`."""

from __future__ import annotations

from typing import Any

import numpy as np

from spleeter.types import Array

__all__ = ["array_namespace"]


def array_namespace(array: Array) -> Any:
    """NumPy for its arrays, and for torch tensors the namespace that makes torch keep to the array API standard."""
    if isinstance(array, np.ndarray):
        return np  # itself; the wrapper of array_api_compat copies every transform once more
    from array_api_compat import array_namespace

    return array_namespace(array)
