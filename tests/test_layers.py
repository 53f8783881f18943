"""Who may import whom, read from the code itself; no circles; and what importing costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spleeter"

# room -> the rooms that it may import from, besides itself. Level by level, from the ground up.
GROUND = {"errors", "types"}
SHARED = GROUND | {"configuration", "model.rules", "utils", "resources"}
LEVEL_2 = SHARED | {"audio", "dsp", "model.tensorflow", "model.provider", "model.checkpoint", "backends.base"}
WITH_TORCH = LEVEL_2 | {"model.functions", "backends.native", "backends.torch"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "resources": set(),
    "utils": GROUND,
    "utils.configuration": SHARED,  # the original's import path of `load_configuration`
    "model.rules": GROUND | {"utils"},
    "configuration": SHARED,
    "compatibility": GROUND | {"configuration", "dsp"},
    "audio": SHARED,
    "dsp": SHARED,
    "model.tensorflow": SHARED,
    "model.provider": SHARED | {"model.tensorflow"},
    "model.checkpoint": SHARED | {"model.tensorflow"},
    "backends.base": SHARED,
    "backends.native": SHARED,
    "model.functions": SHARED,
    "backends.torch": SHARED | {"backends.base", "backends.native", "model.checkpoint", "model.functions"},
    "pipeline": LEVEL_2,
    "plotting": LEVEL_2,
    "separator": LEVEL_2 | {"pipeline", "plotting", "compatibility"},
    "data": LEVEL_2,
    "training": WITH_TORCH | {"pipeline", "data", "plotting"},
    "evaluation": WITH_TORCH | {"pipeline", "data", "plotting", "separator"},
    "catalogue": LEVEL_2 | {"pipeline", "separator"},
    "": LEVEL_2 | {"pipeline", "separator"},
    "cli": WITH_TORCH | {"", "pipeline", "data", "plotting", "separator", "training", "evaluation", "catalogue"},
    "__main__": {"cli"},
    # The original's import paths, for its callers: nothing here imports them.
    "model": {"utils"},
    "utils.audio": {"audio"},
    "dataset": {"utils"},
    "options": SHARED | {"audio", "cli"},
    "commands": SHARED | {"audio", "separator", "training"},
}
MAY_IMPORT_TORCH = {"model.functions", "backends.torch", "training", "evaluation", "cli"}


def room_of(module: str) -> str:
    """The room of a module below `spleeter`, e.g. "audio.reader" -> "audio"."""
    names = module.split(".")
    for room in (module, ".".join(names[:2])):
        if room in ALLOWED and room != "model":
            return room
    return ".".join(names[:2]) if names[0] in {"model", "backends"} else names[0]


def modules() -> dict[str, ast.Module]:
    """Every module below `spleeter` by its dotted name, "" for the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that a file imports, inside functions too: of the package as dotted names below it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are written in full"
            for alias in node.names:  # what is imported from a package may be a module of it
                is_module = f"{node.module}.{alias.name}".removeprefix("spleeter.") in MODULES
                yield f"{node.module}.{alias.name}" if is_module else node.module


def imported_of_package(tree: ast.Module) -> set[str]:
    return {
        module.partition(".")[2]
        for module in imported(tree)
        if module == "spleeter" or module.startswith("spleeter.")
    }


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("model", "backends")])
def test_a_room_imports_only_from_the_rooms_below(name: str) -> None:
    room = room_of(name)
    assert room in ALLOWED, f"{name}: give its room a place in the table"
    for module in imported_of_package(MODULES[name]):
        other = room_of(module)
        assert other == room or other in ALLOWED[room], f"{name} imports {module}"
    if room not in MAY_IMPORT_TORCH:
        assert "torch" not in {module.partition(".")[0] for module in imported(MODULES[name])}, (
            f"{name} imports torch"
        )


def test_no_module_imports_itself_through_others() -> None:
    """Not even inside a function. A package's `__init__` gathers what its modules define, and none imports it."""
    graph = {name: imported_of_package(tree) - {name} for name, tree in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = run_python("import sys, spleeter; print(*sys.modules)").split()
    assert not {"torch", "numpy", "pydantic", "av", "typer", "rich", "httpx2", "soxr"} & set(loaded)


WITHOUT_TORCH = """
import sys, contextlib
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def test_separation_needs_no_torch_but_in_its_backend() -> None:
    """Everything around the network is imported, and separates with another backend, where torch cannot be had."""
    code = (
        WITHOUT_TORCH
        + """
import numpy as np
import spleeter
import spleeter.separator, spleeter.catalogue.jobs, spleeter.data.dataset, spleeter.model.checkpoint
from spleeter.backends.base import HostDevice
from spleeter.configuration import Configuration
from spleeter.pipeline.stream import Pipeline

class Halves:
    name, n_threads, device = "halves", 2, HostDevice()
    def estimate(self, magnitudes):
        return np.stack([0.5 * magnitudes] * 2)

song = np.random.default_rng(0).standard_normal((44100, 2), np.float32)
keys = Configuration.load({**Configuration.load("spleeter:2stems").to_dict(), "mask_extension": "average"})
stems = np.concatenate([block.fetch() for block in Pipeline(keys, Halves(), mwf=True).separate([song])], axis=1)
print(float(np.abs(stems.sum(axis=0) - song).max()), "torch" in sys.modules)
"""
    )
    difference, has_torch = run_python(code).split()
    assert float(difference) < 1e-6
    assert has_torch == "False"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["separate", "--help"],
        ["evaluate", "--help"],
        ["train", "--help"],
        ["models", "--help"],
        ["dataset", "make", "--help"],
        ["info", "--help"],
        ["--version"],
    ],
)
def test_help_loads_nothing_heavy_and_no_torch(arguments: list[str]) -> None:
    code = (
        f"{WITHOUT_TORCH}\n"
        f"sys.argv = ['spleeter', *{arguments}]\n"
        "from spleeter.__main__ import entrypoint\n"
        "with contextlib.suppress(SystemExit): entrypoint()\n"
        "print('LOADED', *sys.modules)"
    )
    output = run_python(code)
    loaded = output[output.index("LOADED") :].split()
    assert not {"torch", "numpy", "av", "httpx2", "spleeter.configuration"} & set(loaded)
