"""`spleeter evaluate`: tracks with known stems in, scores of their separation out."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from typer import Exit, Option, echo

from spleeter.cli.console import configure_messages, tell_on_terminal
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, ReadingAdapterOption, VerboseOption
from spleeter.cli.progress import BatchProgress, fetch_model
from spleeter.cli.sound import (
    BandwidthOption,
    DeviceOption,
    ExactOption,
    ModelOption,
    MwfOption,
    OverlapOption,
    PrecisionOption,
    QualityOption,
    ShiftsOption,
    Sound,
    wrong_usage,
)
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
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
    output_path: Annotated[
        Path,
        Option(
            "--output_path",
            "-o",
            metavar="FOLDER",
            help="Folder for scores and separated stems; the tables show all that has been evaluated into it.",
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
            help="What to call this way of separating in folders and tables, which can hold several.",
            show_default="from the options",
        ),
    ] = None,
    subset: Annotated[
        str | None,
        Option(
            "--subset",
            metavar="NAME",
            help="Folder of --mus_dir with the tracks, such as train.",
            show_default="test, where there is one",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    audio: Annotated[bool, Option("--audio/--no-audio", help="Keep the separated stems, as wav.")] = True,
    verbose: VerboseOption = False,
) -> None:
    """Separate tracks whose stems are known, and score the results by BSS Eval v4, SDR and SI-SDR.

    Writes the scores of each track (museval's JSON), a CSV file, Markdown tables and a box plot. Tracks whose scores
    are in the output folder are left alone, so a run that was stopped goes on. Run again with other options into the
    same folder, such as --exact and --exact --mwf, to have their rows in the same tables.

    Exit code 0: every track was scored. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
    """
    configure_messages(verbose)
    sound = Sound(params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.data.tracks import find_tracks

    with wrong_usage():
        configuration = sound.configuration()
        tracks = find_tracks(mus_dir, subset, configuration.instrument_list)
        audio_adapter = AudioAdapter.get(adapter)
        from spleeter.evaluation.evaluate import Method, plan_tracks, score_tracks  # here: importing torch is slow
        from spleeter.evaluation.report import as_text, collect_scores, write_report

        evaluated = Method(method or _name(sound), sound.separator(configuration))
        tasks = plan_tracks(tracks, [evaluated], output_path)
    failures = []
    if tasks:
        fetch_model(configuration.model_dir)
        tell_on_terminal(f"{evaluated.name} on {evaluated.separator.device}")
        interruption = Interruption()
        bars = BatchProgress(len(tasks), interruption.check)
        with interruption, bars.batch():
            failures = score_tracks(tasks, adapter=audio_adapter, keep_audio=audio, open_progress=bars.song)
            interruption.check()  # the last track's scoring may have gone on since
    rows = collect_scores(output_path, tracks[0].subset)
    if files := write_report(rows, tracks[0].subset, output_path):
        echo(as_text(rows))
        echo("\n".join(map(str, files)))
    if failures:
        logger.error("%d of %d tracks failed", len(failures), len(tracks))
        raise Exit(1)


def _name(sound: Sound) -> str:
    """What a method is called in folders and tables: the model, and the options that were given."""
    options = {
        "exact": sound.exact,
        sound.quality: sound.quality,
        f"overlap{sound.overlap}": sound.overlap is not None,
        f"shifts{sound.shifts}": sound.shifts is not None,
        sound.bandwidth: sound.bandwidth,
        "mwf": sound.mwf,
        sound.precision: sound.precision != "float32",
    }
    model = Path(sound.model.removeprefix("spleeter:")).resolve().name.removesuffix(".json")
    return "-".join([model, *(str(option) for option, is_given in options.items() if is_given)])
