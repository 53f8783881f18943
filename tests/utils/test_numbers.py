"""Numbers that callers give, of whatever type."""

from typing import Any

import numpy as np
import pytest

from spleeter.errors import EncodeError
from spleeter.utils.numbers import finite_number, whole_number


@pytest.mark.parametrize("value", [2, 2.0, "2", " 2 ", np.int64(2), np.float32(2), np.array(2)])
def test_every_type_of_number_is_read(value: Any) -> None:
    assert whole_number(value, "n", 0, 9, error=EncodeError) == 2
    assert finite_number(value, "n", error=EncodeError) == 2.0


@pytest.mark.parametrize(
    "value", [1.5, "1.5", -1, 10, 10**400, "two", None, [2], b"x" * 10**6, float("nan"), True, {}]
)
def test_all_else_is_refused_in_a_line(value: Any) -> None:
    with pytest.raises(EncodeError, match=r"^n .* is not a") as caught:
        whole_number(value, "n", 0, 9, error=EncodeError)
    assert len(str(caught.value)) < 300
