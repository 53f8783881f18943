"""`spleeter evaluate`: scores of a separation against the true stems of tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Exit, Option, echo

from spleeter.cli.console import configure_messages, print_on_terminal, usage_errors
from spleeter.cli.help import INPUT, OUTPUT
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import (
    DEFAULT_ADAPTER,
    ModelCodeOption,
    ReadingAdapterOption,
    ThreadsOption,
    VerboseOption,
)
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

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\b
Examples:
  spleeter evaluate --mus-dir musdb18hq -p spleeter:4stems -o scores
  spleeter evaluate --mus-dir musdb18hq -p spleeter:4stems -o scores --exact
  spleeter evaluate --mus-dir my_tracks -p my_model.json --no-audio

Exit code 0: every track was scored. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
"""


def evaluate(
    mus_dir: Annotated[
        str,
        Option(
            "--mus-dir",
            metavar="FOLDER",
            help="Tracks with their stems: musdb18, musdb18-HQ, or track folders with an audio file for each stem.",
            rich_help_panel=INPUT,
        ),
    ],
    subset: Annotated[
        str | None,
        Option(
            "--subset",
            metavar="NAME",
            help="Subfolder of --mus-dir with the tracks, such as train.",
            show_default="test, where there is one",
            rich_help_panel=INPUT,
        ),
    ] = None,
    output_path: Annotated[
        str,
        Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of scores and estimated stems; the tables hold all methods evaluated into it.",
            rich_help_panel=OUTPUT,
        ),
    ] = "separated_audio",
    method: Annotated[
        str | None,
        Option(
            "--method",
            metavar="NAME",
            help="Name of this method in folders and tables, which may hold several.",
            show_default="from the options",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    audio: Annotated[
        bool, Option("--audio/--no-audio", help="Write the estimated stems, as wav.", rich_help_panel=OUTPUT)
    ] = True,
    params_filename: ModelOption = "spleeter:2stems",
    quality: QualityOption = None,
    bandwidth: BandwidthOption = None,
    overlap: OverlapOption = None,
    shifts: ShiftsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    precision: PrecisionOption = "float32",
    model_code: ModelCodeOption = None,
    verbose: VerboseOption = False,
    exact: ExactOption = False,
    mwf: MwfOption = False,
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
) -> dict[str, dict[str, list[float]]]:
    """Separate tracks with known stems, and score the estimates.

    Scores are BSS Eval v4's, and SDR and SI-SDR of whole tracks; they are written for each track (museval's JSON),
    and together as a CSV file, Markdown tables and a box plot. Tracks whose scores in the output folder were made
    with the same weights and from the same files are skipped, so an interrupted run resumes. Run again with other
    options into the same folder, such as --exact and --exact --mwf, to compare them in the same tables.
    \f

    Returns:
        Stem -> metric -> the scores of the tracks, as the original's function of this name.
    """
    configure_messages(verbose)
    options = SeparationOptions(
        params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision, threads, model_code
    )
    output = Path(output_path)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.data.tracks import find_tracks

    with usage_errors():
        configuration = options.configure()
        tracks = find_tracks(Path(mus_dir), subset, configuration.instrument_list)
        audio_adapter = AudioAdapter.get(adapter)
        from spleeter.evaluation.evaluate import Method, plan_tracks, score_tracks
        from spleeter.evaluation.report import as_text, collect_scores, write_report

        evaluated = Method(method or options.method_name(), options.open_separator())
        tasks = plan_tracks(tracks, [evaluated], output)
    failures = []
    if tasks:
        fetch_model(configuration.model_dir)
        print_on_terminal(f"{evaluated.name} on {evaluated.separator.device}")
        interruption = Interruption(lambda: f"{bars.n_finished} of {len(tasks)} tracks finished; run again to go on")
        bars = BatchBars(len(tasks), interruption.check)
        with interruption, bars.batch():
            failures = score_tracks(tasks, adapter=audio_adapter, keep_audio=audio, open_progress=bars.song)
            interruption.check()  # for a signal during the scoring of the last track
    rows = collect_scores(output, tracks[0].subset)
    if files := write_report(rows, tracks[0].subset, output):
        echo(as_text(rows))
        echo("\n".join(map(str, files)))
    if failures:
        logger.error("%d of %d tracks failed", len(failures), len(tracks))
        raise Exit(1)
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.method == evaluated.name:
            scores.setdefault(row.target, {}).setdefault(row.metric, []).append(row.score)
    return scores
