"""Help of every command: grouped, in one spelling, within 80 columns, readable through a pipe too."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from spleeter.cli.help import one_spelling
from spleeter.cli.main import app


def commands() -> list[tuple[str, ...]]:
    """Every command, as it is typed."""

    def below(command: Any, name: tuple[str, ...]) -> list[tuple[str, ...]]:
        inner = getattr(command, "commands", {})
        return [name, *(path for word, sub in inner.items() for path in below(sub, (*name, word)))]

    return below(get_command(app), ())


def usage(*command: str) -> str:
    """The help of a command, through a pipe."""
    code = "from spleeter.__main__ import entrypoint; entrypoint()"
    arguments = [sys.executable, "-c", code, *command, "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def texts() -> dict[tuple[str, ...], str]:
    return {command: usage(*command) for command in commands()}


def test_help_is_plain_text_of_80_columns(texts: dict[tuple[str, ...], str]) -> None:
    assert len(texts) > 10
    for command, text in texts.items():
        assert max(map(len, text.splitlines())) <= 80, command
        assert text.isascii(), command
        for internal in (
            "list[",
            "pathlib",
            "<Path>",
            "spleeter.audio",
            "default:",
            "x>=",
            "......",
            "Returns:",
            "Args:",
        ):
            assert internal not in text, (command, internal)


def test_options_are_shown_in_one_spelling(texts: dict[tuple[str, ...], str]) -> None:
    for command, text in texts.items():
        options = re.findall(r"(?<![\w-])--[\w-]+", text)
        assert options, command
        for option in options:
            assert option == f"--{one_spelling(option[2:])}", (command, option)


def test_separate_has_its_topics_in_order_and_four_examples(texts: dict[tuple[str, ...], str]) -> None:
    text = texts[("separate",)]
    topics = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert topics == ["Input", "Output", "Sound", "Machine", "Of the original Spleeter", "Other"]
    assert "--output FOLDER" in text.split("Output:")[1].splitlines()[1]
    assert len(re.findall(r"^    spleeter separate ", text, re.MULTILINE)) == 4


def test_a_song_in_place_of_a_command() -> None:
    code = "from spleeter.__main__ import entrypoint; entrypoint()"
    for argument, meant in (("song.mp3", "`spleeter separate song.mp3`"), ("seperate", "'separate'")):
        result = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True)
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].lower().endswith(f"did you mean {meant}?".lower())
