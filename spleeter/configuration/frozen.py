"""Immutable forms of JSON values: objects become FrozenMappings, lists become tuples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = ["FrozenMapping", "freeze", "thaw"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenMapping(Mapping[str, Any]):
    """An immutable mapping that can be hashed and pickled; a look-up is linear, for the few params of a model."""

    pairs: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, key: str) -> Any:
        return dict(self.pairs)[key]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self.pairs))  # the order of the keys is no part of equality

    def __repr__(self) -> str:
        return repr(dict(self.pairs))


def freeze(value: Any) -> Any:
    """An immutable copy of a JSON value.

    Raises:
        ValueError: if it holds something that is no JSON value, such as NaN or a set.
    """
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return FrozenMapping(tuple((key, freeze(item)) for key, item in value.items()))
    raise ValueError("must hold JSON values only: text, finite numbers, true, false, null, lists, objects")


def thaw(value: Any) -> Any:
    """The inverse of `freeze`: new dicts and lists, which the caller may change."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    return [thaw(item) for item in value] if isinstance(value, tuple) else value
