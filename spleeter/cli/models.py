"""`spleeter models`: see, fetch, check and convert the pretrained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Argument, Exit, Option, Typer, echo

from spleeter.cli.console import configure_messages
from spleeter.cli.options import VerboseOption
from spleeter.cli.progress_bars import download_bar

if TYPE_CHECKING:
    from spleeter.configuration import Configuration
    from spleeter.model.provider import ModelProvider
    from spleeter.model.provider.github import GithubModelProvider

app = Typer(
    help="List, download, verify and convert the pretrained models.", no_args_is_help=True, rich_markup_mode=None
)

_NAME = "2stems, 4stems, 5stems, or another model of the release."


@app.callback()
def _main(
    verbose: VerboseOption = False,
) -> None:
    """List, download, verify and convert the pretrained models."""
    configure_messages(verbose)


@app.command("list")
def list_models() -> None:
    """List the models: instruments, size, whether they are what was released, and where they are."""
    provider = _provider()
    rows = [_row(provider, name) for name in _known_names(provider)]
    _show_table(("model", "instruments", "size", "state", "folder"), rows)


@app.command(no_args_is_help=True)
def download(
    names: Annotated[list[str], Argument(metavar="NAME...", help=f"{_NAME} all: all of the release.")],
    force: Annotated[bool, Option("--force", help="Download again what is already there.")] = False,
) -> None:
    """Download models before they are needed, or repair them; prints their folders."""
    provider = _provider()
    for name in provider.checksums if "all" in names else map(_model_name, names):
        folder = provider.locate(name)
        with download_bar(provider, name):
            if force:
                provider.download(name, str(folder))
            else:
                provider.get(name)
        echo(f"{name}: {folder}")


@app.command()
def verify(
    names: Annotated[list[str] | None, Argument(metavar="[NAME]...", help=f"{_NAME} All here, if left out.")] = None,
) -> None:
    """Compare every file of the models with what was released. Exit code 1: a model is damaged or absent."""
    provider = _provider()
    wanted = [_model_name(name) for name in names or []] or [
        name for name in _known_names(provider) if provider.locate(name).exists()
    ]
    findings = {name: _inspect(provider, name) for name in wanted}
    for name, finding in findings.items():
        echo(f"{name}: {finding.state}{finding.detail}")
        if finding.is_broken:
            echo(f"  repair it with: spleeter models download --force {name}")
    if not wanted:
        echo("no model has been downloaded yet")
    if not all(finding.is_usable for finding in findings.values()):
        raise Exit(1)


@app.command()
def path(name: Annotated[str | None, Argument(help=f"{_NAME} If left out: the folder of all.")] = None) -> None:
    """Print the folder where a model is, or would be downloaded to."""
    provider = _provider()
    echo(provider.locate(_model_name(name)) if name else provider.home())


@app.command(no_args_is_help=True)
def convert(
    model: Annotated[str, Argument(metavar="NAME_OR_FOLDER", help=f"{_NAME} Or the folder of a model.")],
    output: Annotated[Path, Argument(help="Folder to write model.safetensors and configuration.json into.")],
    params_filename: Annotated[
        str | None,
        Option(
            "--params_filename",
            "-p",
            help="The model's configuration.",
            show_default="spleeter:NAME",
        ),
    ] = None,
) -> None:
    """Convert a model's weights from TensorFlow's format to safetensors."""
    from spleeter.backends.torch.weights import load_network, save_network
    from spleeter.configuration import MODEL_FOLDER_FILE, Configuration

    is_name = model.removeprefix("spleeter:") in Configuration.embedded_names()
    folder = _downloaded(_model_name(model)) if is_name else _existing(Path(model))
    own = None if is_name or not (folder / MODEL_FOLDER_FILE).is_file() else str(folder)
    configuration = _configuration(model if is_name else folder.name, params_filename or own)
    save_network(output, load_network(folder, configuration), configuration)
    echo(f"{output}: converted from {folder}")


class _Finding(NamedTuple):
    """What a look at a model's folder brought."""

    state: str
    detail: str = ""

    @property
    def is_usable(self) -> bool:
        return self.state in ("verified", "unverified")

    @property
    def is_broken(self) -> bool:
        return self.state in ("incomplete", "damaged")


def _inspect(provider: GithubModelProvider, name: str) -> _Finding:
    from spleeter.model.provider.folder import flaw
    from spleeter.model.provider.manifest import differences

    folder = provider.locate(name)
    if not folder.is_dir():
        return _Finding("not downloaded")
    if reason := flaw(folder):
        return _Finding("incomplete", f": {reason}")
    found = differences(folder, provider.file_checksums(name))
    if found is None:
        return _Finding("unverified", ": nothing tells what its files should be")
    return _Finding("damaged", f": {'; '.join(found)}") if found else _Finding("verified")


def _row(provider: GithubModelProvider, name: str) -> tuple[str, ...]:
    folder, finding = provider.locate(name), _inspect(provider, name)
    if not folder.is_dir():
        return name, _instruments(name, folder), "", finding.state, ""
    size = sum(file.stat().st_size for file in folder.iterdir())
    return name, _instruments(name, folder), f"{size / 1e6:.0f} MB", finding.state, str(folder)


def _instruments(name: str, folder: Path) -> str:
    """The instruments that a model separates, as far as its name or its folder tells."""
    from spleeter.configuration import Configuration
    from spleeter.errors import ConfigurationError

    try:
        configuration = Configuration.load(f"spleeter:{name}" if name in Configuration.embedded_names() else folder)
    except ConfigurationError:
        return "?"
    return ", ".join(configuration.instrument_list)


def _show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, plain aligned text elsewhere."""
    from rich.console import Console
    from rich.table import Table

    if (terminal := Console()).is_terminal:
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        terminal.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _provider() -> GithubModelProvider:
    from spleeter.model.provider.github import GithubModelProvider

    return GithubModelProvider.from_environ()


def _known_names(provider: ModelProvider) -> list[str]:
    """The released models, and whatever else lies beside them."""
    from spleeter.model.provider.folder import flaw
    from spleeter.model.provider.released import ARCHIVE_SHA256

    home = provider.home()
    folders = home.iterdir() if home.is_dir() else ()
    return sorted({*ARCHIVE_SHA256, *(f.name for f in folders if not f.name.startswith(".") and not flaw(f))})


def _model_name(name: str) -> str:
    """The model that an embedded configuration uses (spleeter:2stems-16kHz -> 2stems); other names stay."""
    from spleeter.configuration import Configuration

    name = name.removeprefix("spleeter:")
    return Configuration.load(f"spleeter:{name}").model_dir if name in Configuration.embedded_names() else name


def _configuration(name: str, params_filename: str | None) -> Configuration:
    from spleeter.configuration import Configuration
    from spleeter.errors import ConfigurationError

    name = name.removeprefix("spleeter:")
    if not params_filename and name not in Configuration.embedded_names():
        raise ConfigurationError(f"no configuration is known for {name!r}: name its JSON file with -p")
    return Configuration.load(params_filename or f"spleeter:{name}")


def _downloaded(name: str) -> Path:
    provider = _provider()
    with download_bar(provider, name):
        return Path(provider.get(name))


def _existing(folder: Path) -> Path:
    from spleeter.errors import ModelError
    from spleeter.model.provider.folder import flaw

    if reason := flaw(folder):
        raise ModelError(f"no model in {folder}: {reason}; give the name or the folder of a model")
    return folder
