"""Numbers that callers give, of whatever type: checked where they enter."""

from __future__ import annotations

import math
import operator

from spleeter.errors import SpleeterError
from spleeter.utils.names import short

__all__ = ["finite_number", "number", "whole_number"]


def number(value: object, what: str, *, error: type[SpleeterError]) -> float:
    """A number, or the text of one, as a float; NumPy's scalars are numbers too.

    Args:
        value: to be read.
        what: its name in the message.
        error: raised as "WHAT VALUE is not a number" for anything else.
    """
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as cause:
        raise error(f"{what} {short(value)} is not a number") from cause


def finite_number(value: object, what: str, *, error: type[SpleeterError]) -> float:
    """As `number`, and neither NaN nor infinite."""
    parsed = number(value, what, error=error)
    if not math.isfinite(parsed):
        raise error(f"{what} {short(value)} is not a finite number")
    return parsed


def whole_number(
    value: object, what: str, least: int, greatest: int | None = None, *, error: type[SpleeterError]
) -> int:
    """A whole number from `least` to `greatest`, or the text of one; NumPy's scalars, and 2.0, are numbers too.

    Args:
        value: to be read.
        what: its name in the message.
        least, greatest: what it may be; None for no upper limit.
        error: raised as "WHAT VALUE is not a whole number ..." for anything else.
    """
    parsed = finite_number(value, what, error=error)
    whole = operator.index(value) if hasattr(value, "__index__") else int(parsed)
    if isinstance(value, bool) or whole != parsed or not least <= whole <= (whole if greatest is None else greatest):
        to = f"from {least} on" if greatest is None else f"from {least} to {greatest}"
        raise error(f"{what} {short(value)} is not a whole number {to}")
    return whole
