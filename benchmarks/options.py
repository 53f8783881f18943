"""Options of the benchmarks: the command line, parsed once into a frozen object."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SECTIONS = {
    "machine": "the machine, and the rate of its matrix product; always first",
    "startup": "start of the command: the interpreter, torch, --help, a clip of 10 s",
    "command": "the whole command, file to files: 2 and 4 stems, a song and an hour",
    "separation": "arrays to arrays with a loaded model: 2 and 4 stems, every quality, float32 and bfloat16",
    "stages": "each stage on its own, from decoding to encoding, and the network's GFLOP/s",
    "borders": "how far the level of a steady tone steps where segments meet",
    "wiener": "the multichannel Wiener filter, against norbert",
    "precision": "SNR of the stems in half precision against float32",
    "memory": "peak memory of the command against the length of the song",
    "training": "steps of training a second",
    "load": "the network and a step of training while other programs keep cores busy",
    "evaluation": "BSS Eval v4 of four stems, against museval",
    "peers": "other programs with the same weights; only with --peers FOLDER",
    "gpu": "one GPU from waveform to waveform, and a folder of songs; only if named",
}
"""Name -> what it measures, in the order in which they run."""

_DESCRIPTION = f"""\
Measure this package: a Markdown table on standard output for each section.

sections, in the order in which they run:
{chr(10).join(f"  {name:<12}{summary}" for name, summary in SECTIONS.items())}

Without a name, all but `peers` and `gpu`: about ten minutes on two cores; `peers` too if --peers is given.
"""

_EPILOG = """\
examples:
  python -m benchmarks --quick
  python -m benchmarks command memory --minutes 3 60 240 --json figures.json --plot figures.png
  python -m benchmarks peers --peers ../peers --rounds 5
  python -m benchmarks gpu
  python -m benchmarks gpu --device cpu --quick

Times are medians of --rounds, taken in turn with the alternatives. Temporary files, 3.2 GB for an hour
with 4 stems, lie in the folder that TMPDIR names.
"""


@dataclass(frozen=True)
class Options:
    """The command line's arguments; None where the sections choose."""

    sections: tuple[str, ...]
    minutes: tuple[float, ...] | None
    rounds: int | None
    quick: bool
    all: bool
    song: Path | None
    peers: Path | None
    songs: int | None
    device: str
    json: Path | None
    plot: Path | None

    def n_rounds(self, full: int = 3, quick: int = 1) -> int:
        """Rounds of a short measurement."""
        return self.rounds or (quick if self.quick else full)

    def lengths(self, full: Sequence[float], quick: Sequence[float]) -> tuple[float, ...]:
        """The lengths of songs, in minutes."""
        return self.minutes or tuple(quick if self.quick else full)


def read(arguments: Sequence[str] | None = None) -> Options:
    """Parse the command line; an error in it ends the program with a message."""
    parser = _parser()
    values: dict[str, Any] = vars(parser.parse_args(arguments))
    named = values.pop("sections")
    if unknown := sorted(set(named) - set(SECTIONS)):
        parser.error(f"no section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    if "peers" in named and not values["peers"]:
        parser.error("the section peers needs --peers FOLDER")
    if values["plot"] and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install 'spleeter[plot]'")
    left_out = {"gpu"} if values["peers"] else {"gpu", "peers"}
    chosen = {*named, "machine"} if named else set(SECTIONS) - left_out
    minutes = tuple(sorted(values.pop("minutes") or ())) or None
    return Options(sections=tuple(name for name in SECTIONS if name in chosen), minutes=minutes, **values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        usage="%(prog)s [SECTION ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=argparse.SUPPRESS)
    how = parser.add_argument_group("what to measure")
    how.add_argument("--quick", action="store_true", help="short songs, once each: about a minute in all")
    how.add_argument("--all", action="store_true", help="command: mp3 for every length, not only the shortest")
    how.add_argument(
        "--minutes", type=_minutes, nargs="+", metavar="N", help="command, memory: lengths (3 60, and 1 10 60)"
    )
    how.add_argument("--rounds", type=_count, metavar="N", help="rounds of short measurements (3, startup 5)")
    how.add_argument("--song", type=_file, metavar="FILE", help="a real song, repeated as needed (synthetic music)")
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (auto)")
    how.add_argument("--peers", type=_folder, metavar="FOLDER", help="peers: see benchmarks/peers/README.md")
    how.add_argument("--songs", type=_count, metavar="N", help="gpu: songs in the folder (16; 2 on a CPU)")
    where = parser.add_argument_group("where the figures go, besides the tables")
    where.add_argument("--json", type=Path, metavar="FILE", help="everything, as JSON")
    where.add_argument("--plot", type=Path, metavar="FILE", help="a PNG of the speeds and of the memory (matplotlib)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return number


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return Path(text).absolute()  # not resolved: an interpreter that is a link finds its environment by its path
