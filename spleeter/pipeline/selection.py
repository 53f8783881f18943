"""Selection of a song's outputs: stems, mixes of stems, and the residual of the mixture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spleeter.errors import OutputError
from spleeter.types import Waveform
from spleeter.utils.names import is_file_name_part, short
from spleeter.utils.numbers import finite_number
from spleeter.utils.spelling import did_you_mean

__all__ = ["Selection", "gains_of", "names_of"]

_BACKING = ("karaoke", "instrumental")
"""Names that everyone knows for the song without its vocals."""


@dataclass(frozen=True)
class Selection:
    """The outputs of a separation, by name.

    Attributes:
        stems: instruments written as they are.
        mixes: new name -> the instruments it sums, each with its linear gain.
        residual: the name of the mixture minus every instrument that one of the others contains; None for none.
    """

    stems: tuple[str, ...]
    mixes: Mapping[str, Mapping[str, float]]
    residual: str | None = None

    @classmethod
    def choose(
        cls,
        instruments: Sequence[str],
        stems: Iterable[str] | None = None,
        mixes: Mapping[str, Iterable[str] | Mapping[str, float]] | None = None,
        residual: str | None = None,
    ) -> Selection:
        """Check a choice against a model's instruments. `stems` None takes them all.

        `stems` may name mixes too: a list that names nothing but mixes writes nothing but these. "karaoke" and
        "instrumental" are mixes of every instrument but the vocals, unless they are names of an instrument or a mix.

        Raises:
            OutputError: if a name is unknown, empty, repeated or not fit for a file name.
        """
        chosen = tuple(instruments) if stems is None else names_of(stems, "stems")
        summed = gains_of(mixes or {})
        if "vocals" in instruments and len(instruments) > 1:
            backing = {name: 1.0 for name in instruments if name != "vocals"}
            summed |= {name: backing for name in chosen if name in _BACKING and name not in {*instruments, *summed}}
        for name in chosen:
            _check_known(name, [*instruments, *summed], f"no stem {short(name)}")
        for name, parts in summed.items():
            _check_new(name, instruments, "mix")
            if not parts:
                raise OutputError(f"mix {short(name)} must name at least one stem")
            for part in parts:
                _check_known(part, instruments, f"mix {short(name)} names {short(part)}")
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
        is_plain = all(gain == 1.0 for parts in self.mixes.values() for gain in parts.values())
        return is_whole and is_plain and len(contained) == len(mentions)

    def apply(self, mixture: Waveform, stems: Mapping[str, Waveform]) -> dict[str, Waveform]:
        """Make the outputs (samples, channels) from a mixture and all its stems."""
        outputs = {name: stems[name] for name in self.stems}
        outputs |= {name: _sum(stems, parts) for name, parts in self.mixes.items()}
        if self.residual is not None:
            outputs[self.residual] = mixture - _sum(stems, dict.fromkeys(self._contained(), 1.0))
        return outputs

    def _contained(self) -> list[str]:
        """Every instrument that an output contains, once."""
        return list(dict.fromkeys(self._mentions()))

    def _mentions(self) -> list[str]:
        """The instruments of each output, one output after the other."""
        return [*self.stems, *(part for parts in self.mixes.values() for part in parts)]


def names_of(names: Iterable[str], what: str) -> tuple[str, ...]:
    """The names of a sequence, or of one plain string. Raises OutputError for anything else, named `what`."""
    given = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in given):
        raise OutputError(f"{what} are names, such as ['vocals'], not {short(names)}")
    return given


def gains_of(mixes: Mapping[str, Iterable[str] | Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Name of a mix -> instrument -> linear gain, 1.0 where none is given. Raises OutputError."""
    if not isinstance(mixes, Mapping):
        raise OutputError(f"mixes map names to what each sums, {{'band': ['drums', 'bass']}}, not {short(mixes)}")
    gains: dict[str, dict[str, float]] = {}
    for name, parts in mixes.items():
        stems = names_of(parts, f"the stems of mix {short(name)}")
        if len(set(stems)) < len(stems):
            raise OutputError(f"mix {short(name)} must name its stems each once")
        given = parts if isinstance(parts, Mapping) else dict.fromkeys(stems, 1.0)
        gains[name] = {
            stem: finite_number(given[stem], f"the gain of {short(stem)}", error=OutputError) for stem in stems
        }
    return gains


def _sum(stems: Mapping[str, Waveform], gains: Mapping[str, float]) -> Waveform:
    """The sum of stems (samples, channels), each times its gain."""
    scaled = (stems[name] * np.float32(gain) for name, gain in gains.items())
    total = next(scaled)
    for stem in scaled:
        total += stem
    return total


def _check_known(name: str, known: Sequence[str], complaint: str) -> None:
    if name not in known:
        raise OutputError(f"{complaint}, but this model gives {', '.join(known)}{did_you_mean(name, known)}")


def _check_new(name: str, taken: Sequence[str], what: str) -> None:
    if name in taken:
        raise OutputError(f"{what} {short(name)} has the name of a stem or of another output; choose a new one")
    if not is_file_name_part(name):
        raise OutputError(f"{what} {short(name)} cannot be part of a file name; choose another name")
