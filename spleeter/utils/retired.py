"""Names of the original that work on TensorFlow's objects: programs that do not use them can import them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from spleeter.errors import SpleeterError

__all__ = ["Retired", "retired"]


class Retired:
    """A name of the original that works on TensorFlow's objects: it can be imported, and raises when it is used."""

    def __init__(self, name: str, instead: str) -> None:
        self._name, self._instead = name, instead

    def _raise(self, *args: object, **kwargs: object) -> NoReturn:
        raise SpleeterError(f"{self._name} needs TensorFlow, which this version does without; {self._instead}")

    __call__ = __mro_entries__ = _raise

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what inspection asks for
            raise AttributeError(name)
        self._raise()


def retired(module: str, *names: str, instead: str) -> Iterator[Any]:
    """A `Retired` for each of these names of a module; `instead` says what takes their place."""
    return (Retired(f"{module}.{name}", instead) for name in names)
