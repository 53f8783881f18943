"""Help and usage errors of the commands: options grouped by topic, each in one spelling; hints at what was meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from spleeter.utils.names import display_name

__all__ = ["INPUT", "MACHINE", "ORIGINAL", "OUTPUT", "SOUND", "CommandGroup", "GroupedCommand", "one_spelling"]

INPUT, OUTPUT, SOUND, MACHINE, ORIGINAL = "Input", "Output", "Sound", "Machine", "Of the original Spleeter"
"""The topics of options."""

_OLD_NAMES = {
    "output-path": "output",
    "params-filename": "model",
    "audio-filenames": "inputs",
    "audio-codec": "codec",
    "max-duration": "duration",
}
"""The original's names of options, of version 1 too -> those that the help shows."""

_IN_BRACKETS = re.compile(r"\[default: \(?(.*?)\)?(?:; x>=\d+)?\]")
"""What Typer writes about a default."""


def one_spelling(name: str) -> str:
    """The name of an option as the help shows it, for any spelling of it; both without the dashes in front."""
    dashed = name.replace("_", "-")
    return _OLD_NAMES.get(dashed, dashed)


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each topic (`rich_help_panel`), in the order of its parameters."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if nearest := getattr(error, "possibilities", None):  # of an unknown option, the nearest first
                ctx.fail(f"{getattr(error, 'message', error)}; did you mean {nearest[0]}?")
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str | None, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = _record(parameter, ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "rich_help_panel", None), []).append(record)
        for topic in sorted(sections, key=lambda topic: topic is None):
            with formatter.section(topic or ("Options" if len(sections) == 1 else "Other")):
                formatter.write_dl(sections[topic])


def _record(parameter: Any, ctx: Any) -> tuple[str, str] | None:
    """An option or argument, and its help; None if it is hidden."""
    if parameter.param_type_name == "option":
        record = parameter.get_help_record(ctx)
        return record and (record[0], _IN_BRACKETS.sub(r"[\1]", record[1]))
    name = f"{parameter.metavar or parameter.name.upper()}{'...' if parameter.nargs != 1 else ''}"
    default = f"  [{parameter.show_default}]" if isinstance(parameter.show_default, str) else ""
    return name, f"{parameter.help or ''}{default}"


class CommandGroup(TyperGroup):
    """A group of commands that knows a song when it is given in place of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and "separate" in self.commands and _is_like_a_path(name):
            ctx.fail(f"{display_name(name)} is no command; did you mean `spleeter separate {display_name(name)}`?")
        return super().resolve_command(ctx, args)


def _is_like_a_path(name: str) -> bool:
    return any(character in name for character in "./\\") or Path(name).exists()
