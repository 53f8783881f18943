"""`spleeter models`: list, download, verify and convert pretrained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Argument, Exit, Option, Typer, echo

from spleeter.cli.console import configure_messages
from spleeter.cli.help import INPUT, OUTPUT, GroupedCommand
from spleeter.cli.options import ModelCodeOption, VerboseOption
from spleeter.cli.progress_bars import download_bar
from spleeter.utils.names import display_name

if TYPE_CHECKING:
    from spleeter.model.provider import ModelProvider
    from spleeter.model.provider.github import GithubModelProvider

__all__ = ["ModelState", "app", "known_models", "model_state"]

app = Typer(help="List, download, verify and convert pretrained models.", no_args_is_help=True, rich_markup_mode=None)

_NAME = "2stems, 4stems, 5stems, or another model of the release."


@app.callback()
def _main(
    verbose: VerboseOption = False,
) -> None:
    """List, download, verify and convert pretrained models."""
    configure_messages(verbose)


@app.command("list", cls=GroupedCommand)
def list_models() -> None:
    """List the models: instruments, size, state."""
    provider = _provider()
    rows = [row for name in known_models(provider) for row in _table_rows(provider, name)]
    _print_table(("model", "instruments", "size", "state"), rows)
    echo(f"in {provider.home()}")


@app.command(cls=GroupedCommand, no_args_is_help=True)
def download(
    names: Annotated[list[str], Argument(metavar="NAME", help=f"{_NAME} all: every model of the release.")],
    force: Annotated[bool, Option("--force", help="Download again what is there.")] = False,
) -> None:
    """Download models before their first use, or repair them.

    Prints their folders.
    """
    provider = _provider()
    for name in provider.checksums if "all" in names else map(_model_name, names):
        folder = provider.locate(name)
        with download_bar(provider, name):
            if force:
                provider.download(name, str(folder))
            else:
                provider.get(name)
        echo(f"{name}: {folder}")


@app.command(cls=GroupedCommand)
def verify(
    names: Annotated[
        list[str] | None, Argument(metavar="NAME", help=f"{_NAME} Default: every model that is there.")
    ] = None,
) -> None:
    """Verify the checksums of every file of the models. Exit code 1: a model is damaged or absent."""
    provider = _provider()
    wanted = [_model_name(name) for name in names or []] or [
        name for name in known_models(provider) if provider.locate(name).exists()
    ]
    states = {name: model_state(provider, name) for name in wanted}
    for name, state in states.items():
        echo(f"{display_name(name)}: {state}")
        if state.is_broken:
            echo(f"  repair it with: spleeter models download --force {display_name(name)}")
    if not wanted:
        echo("no model has been downloaded yet")
    if not all(state.is_usable for state in states.values()):
        raise Exit(1)


@app.command(cls=GroupedCommand)
def path(
    name: Annotated[str | None, Argument(metavar="NAME", help=f"{_NAME} Default: the folder of all models.")] = None,
) -> None:
    """Print the folder of a model, there or not."""
    provider = _provider()
    echo(provider.locate(_model_name(name)) if name else provider.home())


@app.command(cls=GroupedCommand, no_args_is_help=True)
def convert(
    model: Annotated[str, Argument(metavar="MODEL", help=f"{_NAME} Or a model's folder.", rich_help_panel=INPUT)],
    output: Annotated[
        Path,
        Argument(
            metavar="FOLDER",
            help="Folder to write, with model.safetensors and configuration.json.",
            rich_help_panel=OUTPUT,
        ),
    ],
    params_filename: Annotated[
        str | None,
        Option(
            "--model",
            "-p",
            metavar="CONFIG",
            help="The model's JSON configuration.",
            show_default="spleeter:NAME, or that in the model's folder",
            rich_help_panel=INPUT,
        ),
    ] = None,
    model_code: ModelCodeOption = None,
) -> None:
    """Convert a TensorFlow checkpoint to safetensors."""
    from spleeter.backends.torch.weights import load_network, save_network
    from spleeter.configuration import MODEL_FOLDER_FILE, Configuration
    from spleeter.errors import ConfigurationError, ModelError
    from spleeter.model.provider.folder import flaw

    name, embedded_names = model.removeprefix("spleeter:"), Configuration.embedded_names()
    if is_embedded := name in embedded_names:
        provider = _provider()
        with download_bar(provider, _model_name(name)):
            folder = Path(provider.get(_model_name(name)))
    else:
        folder = Path(model)
        name = folder.name
        if reason := flaw(folder):
            raise ModelError(f"no model in {folder}: {reason}; give the name or the folder of a model")
    if params_filename:
        descriptor = params_filename
    elif not is_embedded and (folder / MODEL_FOLDER_FILE).is_file():
        descriptor = str(folder)
    elif name in embedded_names:
        descriptor = f"spleeter:{name}"
    else:
        raise ConfigurationError(f"no configuration is known for {name!r}: give its JSON file with -p")
    configuration = Configuration.load(descriptor)
    save_network(output, load_network(folder, configuration, model_code or ()), configuration)
    echo(f"{output}: converted from {folder}")


class ModelState(NamedTuple):
    """State of a model's folder: "not downloaded", "incomplete", "unverified", "damaged" or "verified"."""

    name: str
    reason: str = ""

    @property
    def is_usable(self) -> bool:
        return self.name in ("verified", "unverified")

    @property
    def is_broken(self) -> bool:
        return self.name in ("incomplete", "damaged")

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


def model_state(provider: GithubModelProvider, name: str) -> ModelState:
    """Look for a model, and compare its files with their checksums."""
    from spleeter.model.provider.folder import flaw

    folder = provider.locate(name)
    if not folder.is_dir():
        return ModelState("not downloaded")
    if reason := flaw(folder):
        return ModelState("incomplete", reason)
    found = provider.verify(name)
    if found.differences:
        return ModelState("damaged", "; ".join(found.differences))
    return ModelState("unverified", found.doubt) if found.doubt else ModelState("verified")


def known_models(provider: ModelProvider) -> list[str]:
    """The names of the released models, and of all others in the provider's folder, sorted."""
    from spleeter.model.provider.folder import complete_models
    from spleeter.model.provider.released import ARCHIVE_SHA256

    return sorted({*ARCHIVE_SHA256, *complete_models(provider.home())})


def _table_rows(provider: GithubModelProvider, name: str) -> list[tuple[str, ...]]:
    """A row for a model, and one for each embedded configuration that uses it under another name."""
    from spleeter.configuration import Configuration
    from spleeter.model.provider.folder import n_bytes

    folder, state = provider.locate(name), model_state(provider, name)
    size = f"{n_bytes(folder) / 1e6:.0f} MB" if folder.is_dir() else ""
    embedded = [other for other in Configuration.embedded_names() if _model_name(other) == name and other != name]
    return [
        (display_name(name), _instruments(name, folder), size, state.name),
        *((other, _instruments(other, folder), "", f"as {name}") for other in embedded),
    ]


def _instruments(name: str, folder: Path) -> str:
    """The instruments of a model, from the configuration of its name or in its folder; "?" if there is none."""
    from spleeter.configuration import Configuration
    from spleeter.errors import ConfigurationError

    try:
        configuration = Configuration.load(f"spleeter:{name}" if name in Configuration.embedded_names() else folder)
    except ConfigurationError:
        return "?"
    return ", ".join(configuration.instrument_list)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with rules on a terminal, as aligned text elsewhere."""
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


def _model_name(name: str) -> str:
    """The model of an embedded configuration (spleeter:2stems-16kHz -> 2stems); other names stay as they are."""
    from spleeter.configuration import Configuration

    name = name.removeprefix("spleeter:")
    return Configuration.load(f"spleeter:{name}").model_dir if name in Configuration.embedded_names() else name
