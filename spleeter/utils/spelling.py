"""Suggestions for misspelt names, for the end of a message."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from spleeter.utils.names import short

__all__ = ["did_you_mean"]

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})


def did_you_mean(
    name: object, known: Iterable[str], prefix: str = "", aliases: Mapping[str, str] = _NO_ALIASES
) -> str:
    """The nearest known name as "; did you mean '...'?", regardless of case; "" if none is near.

    Args:
        name: the name that is unknown.
        known: the names that would have been right.
        prefix: put before the suggestion, e.g. "spleeter:".
        aliases: other name, in lower case -> the known one that it stands for.
    """
    by_lower_case = {**aliases, **{candidate.lower(): candidate for candidate in known}}
    nearest = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"; did you mean {short(prefix + str(by_lower_case[nearest[0]]))}?" if nearest else ""
