"""`spleeter separate`: songs and folders of songs in, stems out."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Exit, Option, echo

from spleeter.audio.codec import Codec
from spleeter.cli.console import configure_messages, print_on_terminal, usage_errors
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, VerboseOption
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
from spleeter.utils.names import FILENAME_FORMAT, display_name

if TYPE_CHECKING:
    from spleeter.catalogue.jobs import Job
    from spleeter.catalogue.songs import Failure

__all__ = ["separate"]

_DEFAULT_OUTPUT = Path(gettempdir(), "separated_audio")


def separate(
    files: Annotated[
        list[Path] | None, Argument(metavar="FILES OR FOLDERS...", readable=False, help="Songs, or folders of songs.")
    ] = None,
    deprecated_files: Annotated[
        str | None,
        Option("--inputs", "-i", help="No longer supported: give the files as arguments.", hidden=True),
    ] = None,
    adapter: Annotated[
        str,
        Option("--adapter", "-a", metavar="CLASS", help="Class that reads and writes audio files."),
    ] = DEFAULT_ADAPTER,
    bitrate: Annotated[str, Option("--bitrate", "-b", metavar="RATE", help="Bit rate of lossy codecs.")] = "128k",
    codec: Annotated[Codec, Option("--codec", "-c", case_sensitive=False, help="Codec of the outputs.")] = Codec.WAV,
    duration: Annotated[
        float | None,
        Option(
            "--duration",
            "-d",
            metavar="SECONDS",
            min=0,
            help="Separate this many seconds at most.",
            show_default="all",
        ),
    ] = None,
    offset: Annotated[
        float, Option("--offset", "-s", metavar="SECONDS", min=0, help="Start this many seconds into the song.")
    ] = 0.0,
    output_path: Annotated[
        Path, Option("--output_path", "-o", metavar="FOLDER", help="Output folder.")
    ] = _DEFAULT_OUTPUT,
    filename_format: Annotated[
        str,
        Option(
            "--filename_format",
            "-f",
            metavar="FORMAT",
            help="Path of each output below the folder; fields: {filename}, {foldername}, {instrument}, {codec}.",
        ),
    ] = FILENAME_FORMAT,
    params_filename: ModelOption = "spleeter:2stems",
    quality: QualityOption = None,
    overlap: OverlapOption = None,
    shifts: ShiftsOption = None,
    mwf: MwfOption = False,
    bandwidth: BandwidthOption = None,
    exact: ExactOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    jobs: Annotated[
        int | None,
        Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Songs to separate in parallel.",
            show_default="1, with CUDA up to 8",
        ),
    ] = None,
    stems: Annotated[
        str | None, Option("--stems", metavar="NAMES", help="Stems to write: vocals,drums.", show_default="all")
    ] = None,
    mix: Annotated[
        list[str] | None,
        Option(
            "--mix",
            metavar="NAME=STEM+STEM",
            help="Also write a sum of stems: karaoke=drums+bass+other. May be repeated.",
        ),
    ] = None,
    residual: Annotated[
        str | None,
        Option(
            "--residual", metavar="NAME", help="Also write the song minus the stems of the other outputs, as NAME."
        ),
    ] = None,
    bit_depth: Annotated[
        int | None,
        Option("--bit-depth", metavar="BITS", help="wav: 16, 24 or 32 (float); flac: 16 or 24.", show_default="16"),
    ] = None,
    clip: Annotated[
        Literal["clamp", "rescale", "none"],
        Option("--clip", help="Samples beyond full scale: clamp them, rescale all outputs, or keep them."),
    ] = "clamp",
    keep_sample_rate: Annotated[
        bool, Option("--keep-sample-rate", help="Write at the song's sample rate rather than the model's.")
    ] = False,
    plot: Annotated[
        bool, Option("--plot", help="Also plot spectrograms and masks: spectrograms.png beside the stems.")
    ] = False,
    skip_existing: Annotated[bool, Option("--skip-existing", help="Skip songs whose outputs all exist.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Separate songs into stems.

    Exit code 0: every song was separated. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
    """
    configure_messages(verbose)
    if deprecated_files is not None:
        echo(
            "error: -i is not supported any more: name the files directly, as in `spleeter separate song.mp3`",
            err=True,
        )
        raise Exit(20)
    if not files:
        raise BadParameter("name at least one song, or a folder of songs")
    if not offset < math.inf or (duration is not None and not 0 < duration < math.inf):
        raise BadParameter("--offset is seconds from 0 on, --duration seconds above 0")
    options = SeparationOptions(params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.audio.reader import cancel_readers
    from spleeter.catalogue.jobs import plan_jobs, run_jobs, songs_in_parallel
    from spleeter.catalogue.songs import find_songs
    from spleeter.pipeline.options import Output
    from spleeter.plotting import require_matplotlib

    songs, missing = find_songs(files, output_path)
    for failure in missing:
        logger.error(failure.reason)
    if not songs:
        raise Exit(2)
    with usage_errors():
        configuration = options.configure()
        output = Output(
            stems=_stem_names(stems),
            mixes=_mixes(mix or []),
            residual=residual,
            codec=codec,
            bitrate=bitrate,
            bit_depth=bit_depth,
            clip=clip,
            keep_sample_rate=keep_sample_rate,
            filename_format=filename_format,
            plot=plot,
        )
        audio_adapter = AudioAdapter.get(adapter)
        if plot:
            require_matplotlib()
        planned = plan_jobs(songs, output_path, output, configuration.instrument_list)
    todo = [job for job in planned if not (skip_existing and job.is_done)]
    failures = list(missing)
    if todo:
        with usage_errors():
            separator = options.open_separator()
        fetch_model(configuration.model_dir)
        separator.load()
        print_on_terminal(f"{params_filename} on {separator.device}")
        interruption = Interruption(cancel=cancel_readers)
        bars = BatchBars(len(todo), interruption.check)

        def separate_one(job: Job) -> None:
            with bars.song(display_name(job.song.name)) as progress:
                separator.separate_to_file(
                    job.song, job.outputs, audio_adapter, offset, duration, output=output, progress=progress
                )

        with interruption, bars.batch():
            failures += run_jobs(todo, separate_one, jobs or songs_in_parallel(separator.device.kind))
    _report_batch(
        failures, n_inputs=len(planned) + len(missing), n_skipped=len(planned) - len(todo), folder=output_path
    )
    if failures:
        raise Exit(1)


def _stem_names(stems: str | None) -> list[str] | None:
    """Parse "vocals,drums"; None stays None."""
    return None if stems is None else [name.strip() for name in stems.split(",") if name.strip()]


def _mixes(mixes: list[str]) -> dict[str, list[str]]:
    """Parse "NAME=STEM+STEM" options into name -> stems."""
    parsed: dict[str, list[str]] = {}
    for mix in mixes:
        name, equals, stems = mix.partition("=")
        if not equals or name.strip() in parsed:
            raise BadParameter(f"{mix!r}: write NAME=STEM+STEM, each NAME once", param_hint="--mix")
        parsed[name.strip()] = [stem.strip() for stem in stems.split("+") if stem.strip()]
    return parsed


def _report_batch(failures: list[Failure], n_inputs: int, n_skipped: int, folder: Path) -> None:
    """Report the outcome: failures always, what was written on a terminal only."""
    if failures and n_inputs > 1:
        reasons = "".join(f"\n  {failure.reason}" for failure in failures)
        logger.error("%d of %d failed:%s", len(failures), n_inputs, reasons)
    n_done = n_inputs - n_skipped - len(failures)
    if n_done or n_skipped:
        skipped = f", {n_skipped} already there" if n_skipped else ""
        print_on_terminal(f"{n_done} song{'s' * (n_done != 1)} separated into {folder}{skipped}")
