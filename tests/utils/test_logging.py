"""A message that cannot be written fails nothing, and none is written into a file that happens to be open."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.utils.logging import logger


class Failing(logging.Handler):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed")])
def test_what_a_programs_handlers_raise_is_not_raised_by_a_message(error: Exception) -> None:
    handler = Failing(error)
    logger.addHandler(handler)
    try:
        logger.warning("lost")
    finally:
        logger.removeHandler(handler)


def test_a_closed_stderr_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(logger, "propagate", False)  # no handler is left: Python prints to stderr
    monkeypatch.setattr(sys, "stderr", closed)
    logger.warning("lost")


@pytest.mark.skipif(os.name == "nt", reason="POSIX devices and pipes")
@pytest.mark.parametrize("target", ["/dev/full", "pipe", "closed"])
def test_messages_of_a_command_that_cannot_be_written(target: str) -> None:
    code = (
        "from spleeter.cli.console import configure_messages; from spleeter.utils.logging import logger; "
        "configure_messages(True); [logger.warning('lost') for _ in range(3)]; print('alive')"
    )
    command = [sys.executable, "-c", code]
    if target == "closed":
        result = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, check=False)
    else:
        if target == "pipe":
            reading, stderr = os.pipe()
            os.close(reading)
        else:
            stderr = os.open(target, os.O_WRONLY)
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False)
        os.close(stderr)
    assert result.stdout == b"alive\n"


WRITE = """
import os, sys
import numpy as np
from contextlib import suppress
from pathlib import Path
from spleeter.audio.adapter import AudioAdapter
from spleeter.pipeline.options import Output
from spleeter.pipeline.sink import StemFiles
samples = np.zeros((1000, 2), np.float32)
paths = {name: Path(sys.argv[1], name + ".wav") for name in "abc"}
with StemFiles(AudioAdapter.default(), paths, 44100, 2, Output()) as stems:
    stems.write({name: samples for name in paths})
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            os.write(descriptor, b"what a library has to say" * 10)
"""


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_closed_standard_streams_are_not_taken_for_a_stem(tmp_path: Path) -> None:
    command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", WRITE, str(tmp_path)]
    subprocess.run(command, check=True)
    for name in "abc":
        samples, rate = soundfile.read(tmp_path / f"{name}.wav")
        assert rate == 44_100
        np.testing.assert_array_equal(samples, np.zeros((1000, 2)))
