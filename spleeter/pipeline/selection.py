"""Selection of a song's outputs: stems, mixes of stems, and the residual of the mixture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from spleeter.errors import OutputError
from spleeter.types import Waveform
from spleeter.utils.names import is_file_name_part

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """The outputs of a separation, by name.

    Attributes:
        stems: instruments written as they are.
        mixes: new name -> the instruments it sums.
        residual: the name of the mixture minus every instrument that one of the others contains; None for none.
    """

    stems: tuple[str, ...]
    mixes: Mapping[str, tuple[str, ...]]
    residual: str | None = None

    @classmethod
    def choose(
        cls,
        instruments: Sequence[str],
        stems: Iterable[str] | None = None,
        mixes: Mapping[str, Iterable[str]] | None = None,
        residual: str | None = None,
    ) -> Selection:
        """Check a choice against a model's instruments. `stems` None takes them all.

        `stems` may name mixes too: a list that names nothing but mixes writes nothing but these.

        Raises:
            OutputError: if a name is unknown, empty, repeated or not fit for a file name.
        """
        summed = {name: tuple(parts) for name, parts in (mixes or {}).items()}
        chosen = tuple(instruments if stems is None else stems)
        for name in chosen:
            _check_known(name, [*instruments, *summed], f"no stem {name!r}")
        for name, parts in summed.items():
            _check_new(name, instruments, "mix")
            if not parts or len(set(parts)) < len(parts):
                raise OutputError(f"mix {name!r} must name at least one stem, and each once")
            for part in parts:
                _check_known(part, instruments, f"mix {name!r} names {part!r}")
        if residual is not None:
            _check_new(residual, [*instruments, *summed], "residual")
        selection = cls(tuple(name for name in chosen if name in instruments), summed, residual)
        if not chosen and not summed:
            raise OutputError(f"no stems chosen: name some of {', '.join(instruments)}")
        if len(set(chosen)) < len(chosen):
            raise OutputError(f"a stem is named twice in {', '.join(chosen)}")
        return selection

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all outputs, in the order they are listed."""
        return (*self.stems, *self.mixes, *([self.residual] if self.residual is not None else []))

    def sums_to_mixture(self, instruments: Sequence[str]) -> bool:
        """Whether the outputs sum to the mixture, if the instruments do."""
        mentions, contained = self._mentions(), self._contained()
        is_whole = self.residual is not None or set(contained) == set(instruments)
        return is_whole and len(contained) == len(mentions)

    def apply(self, mixture: Waveform, stems: Mapping[str, Waveform]) -> dict[str, Waveform]:
        """Make the outputs (samples, channels) from a mixture and all its stems."""
        outputs = {name: stems[name] for name in self.stems}
        outputs |= {name: _sum(stems[part] for part in parts) for name, parts in self.mixes.items()}
        if self.residual is not None:
            outputs[self.residual] = mixture - _sum(stems[part] for part in self._contained())
        return outputs

    def _contained(self) -> list[str]:
        """Every instrument that an output contains, once."""
        return list(dict.fromkeys(self._mentions()))

    def _mentions(self) -> list[str]:
        """The instruments of each output, one output after the other."""
        return [*self.stems, *(part for parts in self.mixes.values() for part in parts)]


def _sum(waveforms: Iterator[Waveform]) -> Waveform:
    total = next(waveforms).copy()
    for waveform in waveforms:
        total += waveform
    return total


def _check_known(name: str, known: Sequence[str], complaint: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise OutputError(f"{complaint}, but this model gives {', '.join(known)}{hint}")


def _check_new(name: str, taken: Sequence[str], what: str) -> None:
    if name in taken:
        raise OutputError(f"{what} {name!r} has the name of a stem or of another output; choose a new one")
    if not is_file_name_part(name):
        raise OutputError(f"{what} {name!r} cannot be part of a file name; choose another name")
