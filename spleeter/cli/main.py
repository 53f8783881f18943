"""The command line `spleeter`: its commands, and the exit codes of errors and signals."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Annotated, NoReturn

from typer import Exit, Option, Typer, echo

from spleeter import __version__
from spleeter.cli import dataset, evaluate, models, separate, train
from spleeter.cli.help import CommandGroup, GroupedCommand, one_spelling
from spleeter.cli.info import info
from spleeter.errors import SpleeterError
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, reason
from spleeter.utils.standard_streams import reserve_standard_streams

__all__ = ["app", "entrypoint"]

app = Typer(
    name="spleeter",
    cls=CommandGroup,
    help="Music source separation: songs in, stems out.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help fits 80 columns, and an error one line
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": one_spelling,
    },
)
app.command(cls=GroupedCommand, no_args_is_help=True, epilog=separate.EXAMPLES)(separate.separate)
app.command(cls=GroupedCommand, no_args_is_help=True, epilog=train.EXAMPLES)(train.train)
app.command(cls=GroupedCommand, no_args_is_help=True, epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.app, name="models")
app.command(cls=GroupedCommand)(info)


def _print_version(value: bool) -> None:
    if value:
        echo(f"Spleeter Version: {__version__}")
        raise Exit


@app.callback()
def _main(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Music source separation: songs in, stems out."""


def entrypoint() -> None:
    """Run the command. An error is one line on stderr and exit code 1; 2 is wrong usage, 130 an interruption."""
    reserve_standard_streams()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)
    try:
        app()
    except SpleeterError as error:
        _fail(" ".join(str(error).split()))
    except OSError as error:
        _fail(reason(error) if error.filename is None else f"{display_name(error.filename)}: {reason(error)}")
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error} (--verbose shows where)")


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """Exit on a signal as on an error, so that unfinished files are removed."""
    sys.exit(128 + signum)


def _fail(message: str) -> NoReturn:
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("details of the failure", exc_info=True)
    with suppress(OSError, ValueError):  # nobody reads it
        echo(f"error: {message}", err=True)
    sys.exit(1)
