"""Who may import whom, read from the code itself; and what importing costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spleeter"

# room -> the rooms it may import from (besides itself). Level by level, from the ground up.
GROUND = {"errors", "types", "configuration", "utils", "resources", "model.rules"}
FILES = {"audio", "dsp", "model.provider", "model.tensorflow", "model.checkpoint"}
MODEL = {"model", "model.functions"}
BACKENDS = {"backends", "backends.base", "backends.native", "backends.torch"}
BELOW_SEPARATOR = GROUND | FILES | MODEL | BACKENDS | {"pipeline"}
ALLOWED: dict[str, set[str]] = {
    "": {"errors"},
    "errors": set(),
    "types": set(),
    "resources": set(),
    "utils": GROUND,
    "configuration": GROUND,
    "audio": GROUND,
    "dsp": GROUND,
    "model": GROUND,
    "model.rules": {"errors", "utils"},
    "model.tensorflow": GROUND | MODEL,
    "model.provider": GROUND | {"model.tensorflow"},
    "model.checkpoint": GROUND | MODEL | {"model.tensorflow"},
    "model.functions": GROUND | MODEL,
    "backends": GROUND,
    "backends.base": GROUND,
    "backends.native": GROUND,
    "backends.torch": GROUND | MODEL | {"backends.base", "backends.native", "model.checkpoint"},
    "pipeline": BELOW_SEPARATOR,
    "separator": BELOW_SEPARATOR | {"plotting"},
    "data": GROUND | FILES,
    "plotting": GROUND | FILES,
    "training": BELOW_SEPARATOR | {"data", "plotting"},
    "evaluation": BELOW_SEPARATOR | {"data", "plotting", "separator"},
    "catalogue": BELOW_SEPARATOR | {"separator"},
    "cli": BELOW_SEPARATOR | {"data", "plotting", "separator", "training", "evaluation", "catalogue"},
    "__main__": {"cli"},
}
WITHOUT_TORCH = GROUND | FILES | {"backends.base", "backends.native", "data"}
SUBROOMS = {"model", "backends"}


def room_of(module: str) -> str:
    """The room of a module below `spleeter`, e.g. "audio.reader" -> "audio"."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] in SUBROOMS else names[0]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are written in full"
            yield node.module


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_room_imports_only_from_the_rooms_below(name: str, tree: ast.Module) -> None:
    room = room_of(name)
    assert room in ALLOWED, f"{name}: give its room a place in the table"
    for module in imported(tree):
        if module.split(".")[0] == "spleeter":
            other = room_of(module.partition(".")[2])
            assert other == room or other in ALLOWED[room], f"{name} imports {module}"
        if module.split(".")[0] == "torch":
            assert room not in WITHOUT_TORCH, f"{name} imports torch"


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = run_python("import sys, spleeter; print(*sys.modules)").split()
    assert not {"torch", "numpy", "pydantic", "av", "typer", "rich", "httpx2", "soxr"} & set(loaded)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["separate", "--help"],
        ["evaluate", "--help"],
        ["train", "--help"],
        ["models", "--help"],
        ["dataset", "make", "--help"],
        ["--version"],
    ],
)
def test_help_does_not_load_torch(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib\n"
        f"sys.argv = ['spleeter', *{arguments}]\n"
        "from spleeter.__main__ import entrypoint\n"
        "with contextlib.suppress(SystemExit): entrypoint()\n"
        "print('LOADED', *sys.modules)"
    )
    output = run_python(code)
    loaded = output[output.index("LOADED") :].split()
    assert not {"torch", "numpy", "av", "httpx2", "spleeter.configuration"} & set(loaded)
