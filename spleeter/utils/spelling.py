"""Suggestions for misspelt names, for the end of a message."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known name as "; did you mean '...'?", regardless of case; "" if none is near.

    Args:
        name: the name that is unknown.
        known: the names that would have been right.
        prefix: put before the suggestion, e.g. "spleeter:".
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"; did you mean {prefix + by_lower_case[nearest[0]]!r}?" if nearest else ""
