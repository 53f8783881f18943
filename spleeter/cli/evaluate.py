"""`spleeter evaluate`: scores of a separation against the true stems of tracks."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from typer import Exit, Option, echo

from spleeter.cli.console import configure_messages, print_on_terminal, usage_errors
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, ReadingAdapterOption, VerboseOption
from spleeter.cli.progress_bars import BatchBars, fetch_model
from spleeter.cli.separation_options import (
    BandwidthOption,
    DeviceOption,
    ExactOption,
    ModelOption,
    MwfOption,
    OverlapOption,
    PrecisionOption,
    QualityOption,
    SeparationOptions,
    ShiftsOption,
)
from spleeter.utils.logging import logger

__all__ = ["evaluate"]

_DEFAULT_OUTPUT = Path(gettempdir(), "separated_audio")


def evaluate(
    mus_dir: Annotated[
        Path,
        Option(
            "--mus_dir",
            metavar="FOLDER",
            help="Tracks with their stems: musdb18, musdb18-HQ, or track folders with an audio file for each stem.",
        ),
    ],
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
    output_path: Annotated[
        Path,
        Option(
            "--output_path",
            "-o",
            metavar="FOLDER",
            help="Folder of scores and estimated stems; the tables hold all methods evaluated into it.",
        ),
    ] = _DEFAULT_OUTPUT,
    params_filename: ModelOption = "spleeter:2stems",
    quality: QualityOption = None,
    overlap: OverlapOption = None,
    shifts: ShiftsOption = None,
    mwf: MwfOption = False,
    bandwidth: BandwidthOption = None,
    exact: ExactOption = False,
    method: Annotated[
        str | None,
        Option(
            "--method",
            metavar="NAME",
            help="Name of this method in folders and tables, which may hold several.",
            show_default="from the options",
        ),
    ] = None,
    subset: Annotated[
        str | None,
        Option(
            "--subset",
            metavar="NAME",
            help="Subfolder of --mus_dir with the tracks, such as train.",
            show_default="test, where there is one",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    audio: Annotated[bool, Option("--audio/--no-audio", help="Write the estimated stems, as wav.")] = True,
    verbose: VerboseOption = False,
) -> None:
    """Separate tracks with known stems, and score the estimates.

    Scores are BSS Eval v4's, and SDR and SI-SDR of whole tracks; they are written for each track (museval's JSON),
    and together as a CSV file, Markdown tables and a box plot. Tracks that have scores in the output folder are
    skipped, so an interrupted run resumes. Run again with other options into the same folder, such as --exact and
    --exact --mwf, to compare them in the same tables.

    Exit code 0: every track was scored. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
    """
    configure_messages(verbose)
    options = SeparationOptions(params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.data.tracks import find_tracks

    with usage_errors():
        configuration = options.configure()
        tracks = find_tracks(mus_dir, subset, configuration.instrument_list)
        audio_adapter = AudioAdapter.get(adapter)
        from spleeter.evaluation.evaluate import Method, plan_tracks, score_tracks
        from spleeter.evaluation.report import as_text, collect_scores, write_report

        evaluated = Method(method or options.method_name(), options.open_separator())
        tasks = plan_tracks(tracks, [evaluated], output_path)
    failures = []
    if tasks:
        fetch_model(configuration.model_dir)
        print_on_terminal(f"{evaluated.name} on {evaluated.separator.device}")
        interruption = Interruption()
        bars = BatchBars(len(tasks), interruption.check)
        with interruption, bars.batch():
            failures = score_tracks(tasks, adapter=audio_adapter, keep_audio=audio, open_progress=bars.song)
            interruption.check()  # for a signal during the scoring of the last track
    rows = collect_scores(output_path, tracks[0].subset)
    if files := write_report(rows, tracks[0].subset, output_path):
        echo(as_text(rows))
        echo("\n".join(map(str, files)))
    if failures:
        logger.error("%d of %d tracks failed", len(failures), len(tracks))
        raise Exit(1)
