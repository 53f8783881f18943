"""`spleeter evaluate`: tracks with known stems in, scores of their separation out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from typer import Exit, Option, echo

from spleeter.cli.console import configure_messages, tell_on_terminal
from spleeter.cli.interruption import Interruption
from spleeter.cli.progress import BatchProgress, download_bar
from spleeter.errors import SpleeterError
from spleeter.utils.logging import logger

_DEFAULT_OUTPUT = Path(gettempdir(), "separated_audio")


def evaluate(
    mus_dir: Annotated[
        Path,
        Option(
            "--mus_dir",
            metavar="FOLDER",
            help="Tracks with their stems: musdb18, musdb18-HQ, or folders with a sound file for each stem.",
        ),
    ],
    adapter: Annotated[
        str, Option("--adapter", "-a", metavar="CLASS", help="Class that reads the tracks' files.")
    ] = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
    output_path: Annotated[
        Path,
        Option(
            "--output_path",
            "-o",
            metavar="FOLDER",
            help="Folder for scores and separated stems; the tables show all that has been evaluated into it.",
        ),
    ] = _DEFAULT_OUTPUT,
    params_filename: Annotated[
        str,
        Option(
            "--params_filename",
            "-p",
            metavar="MODEL",
            help="Model: spleeter:2stems, spleeter:4stems, spleeter:5stems, each also with -16kHz; "
            "or a JSON file, or a folder with a trained model.",
        ),
    ] = "spleeter:2stems",
    mwf: Annotated[
        bool,
        Option(
            "--mwf",
            help="Use multichannel Wiener filtering. For a table with both, run without and with it into one folder.",
        ),
    ] = False,
    subset: Annotated[
        str | None,
        Option(
            "--subset",
            metavar="NAME",
            help="Folder of --mus_dir with the tracks, such as train.",
            show_default="test, where there is one",
        ),
    ] = None,
    device: Annotated[
        str, Option("--device", metavar="DEVICE", help="Where to separate: auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    audio: Annotated[bool, Option("--audio/--no-audio", help="Keep the separated stems, as wav.")] = True,
    verbose: Annotated[bool, Option("--verbose", help="Say more, and show where errors come from.")] = False,
) -> None:
    """Separate tracks whose stems are known, and score the results by BSS Eval v4, SDR and SI-SDR.

    Writes the scores of each track (museval's JSON), a CSV file, Markdown tables and a box plot. Tracks whose scores
    are in the output folder are left alone, so a run that was stopped goes on.

    Exit code 0: every track was scored. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
    """
    configure_messages(verbose)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.configuration import Configuration
    from spleeter.evaluation.tracks import find_tracks
    from spleeter.model.provider import ModelProvider

    with _wrong_usage():
        tracks = find_tracks(mus_dir, subset)
        configuration = Configuration.load(params_filename)
        audio_adapter = AudioAdapter.get(adapter)
        from spleeter.evaluation.evaluate import Method, plan, run  # here, because torch takes a second to import
        from spleeter.evaluation.report import as_text, collect, write_report
        from spleeter.separator import Separator

        as_asked = Configuration.load({**configuration.to_dict(), "MWF": mwf or configuration.MWF})
        method = Method(_name(params_filename, mwf), Separator(as_asked, device=device))
        jobs = plan(tracks, [method], output_path)
    failures = []
    if jobs:
        provider = ModelProvider.default()
        with download_bar(provider, configuration.model_dir):
            provider.get(configuration.model_dir)
        tell_on_terminal(f"{method.name} on {method.separator.device}")
        interruption = Interruption()
        bars = BatchProgress(len(jobs), interruption.check)
        with interruption, bars.batch():
            failures = run(jobs, adapter=audio_adapter, keep_audio=audio, announce=bars.song)
    files = write_report(output_path, tracks[0].subset)
    if files:
        echo(as_text(collect(output_path, tracks[0].subset)))
        echo("\n".join(map(str, files)))
    if failures:
        logger.error("%d of %d tracks failed", len(failures), len(tracks))
        raise Exit(1)


@contextmanager
def _wrong_usage() -> Iterator[None]:
    """What fails before any work has started is wrong usage, and has its exit code."""
    try:
        yield
    except SpleeterError as error:
        logger.error(" ".join(str(error).split()))
        raise Exit(2) from error


def _name(params_filename: str, mwf: bool) -> str:
    """What a method is called in folders and tables."""
    return Path(params_filename.removeprefix("spleeter:")).resolve().stem + "-mwf" * mwf
