"""`spleeter separate`: songs and folders of songs in, stems out."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Exit, Option, echo

from spleeter.audio.codec import Codec
from spleeter.cli.console import configure_messages, tell_on_terminal
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, VerboseOption
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
from spleeter.utils.names import FILENAME_FORMAT, display_name

if TYPE_CHECKING:
    from spleeter.catalogue.jobs import Job
    from spleeter.catalogue.songs import Failure
_DEFAULT_OUTPUT = Path(gettempdir(), "separated_audio")


def separate(
    files: Annotated[
        list[Path] | None, Argument(metavar="FILES OR FOLDERS...", readable=False, help="Songs, or folders of songs.")
    ] = None,
    deprecated_files: Annotated[
        str | None,
        Option("--inputs", "-i", help="No longer supported: name the files directly.", hidden=True),
    ] = None,
    adapter: Annotated[
        str, Option("--adapter", "-a", metavar="CLASS", help="Class that reads and writes sound.")
    ] = DEFAULT_ADAPTER,
    bitrate: Annotated[str, Option("--bitrate", "-b", metavar="RATE", help="Bit rate of lossy outputs.")] = "128k",
    codec: Annotated[Codec, Option("--codec", "-c", case_sensitive=False, help="Format of the outputs.")] = Codec.WAV,
    duration: Annotated[
        float | None,
        Option(
            "--duration",
            "-d",
            metavar="SECONDS",
            min=0,
            help="Separate at most this many seconds.",
            show_default="all",
        ),
    ] = None,
    offset: Annotated[
        float, Option("--offset", "-s", metavar="SECONDS", min=0, help="Start this many seconds into the song.")
    ] = 0.0,
    output_path: Annotated[
        Path, Option("--output_path", "-o", metavar="FOLDER", help="Folder to write in.")
    ] = _DEFAULT_OUTPUT,
    filename_format: Annotated[
        str,
        Option(
            "--filename_format",
            "-f",
            metavar="FORMAT",
            help="Path of each output below the folder, from {filename}, {foldername}, {instrument} and {codec}.",
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
            help="Separate this many songs at the same time.",
            show_default="1, with CUDA up to 8",
        ),
    ] = None,
    stems: Annotated[
        str | None, Option("--stems", metavar="NAMES", help="Write only these: vocals,drums.", show_default="all")
    ] = None,
    mix: Annotated[
        list[str] | None,
        Option(
            "--mix",
            metavar="NAME=STEM+STEM",
            help="Write a sum of stems too: karaoke=drums+bass+other. May be repeated.",
        ),
    ] = None,
    residual: Annotated[
        str | None,
        Option(
            "--residual", metavar="NAME", help="Write what is left of the song without the chosen stems, as NAME."
        ),
    ] = None,
    bit_depth: Annotated[
        int | None,
        Option("--bit-depth", metavar="BITS", help="wav: 16, 24 or 32 (float); flac: 16 or 24.", show_default="16"),
    ] = None,
    clip: Annotated[
        Literal["clamp", "rescale", "none"],
        Option("--clip", help="Samples beyond full scale: cut off, turn all outputs down, or leave."),
    ] = "clamp",
    keep_sample_rate: Annotated[
        bool, Option("--keep-sample-rate", help="Write at the song's own sample rate.")
    ] = False,
    plot: Annotated[
        bool, Option("--plot", help="Draw spectrograms and masks too: spectrograms.png beside the stems.")
    ] = False,
    skip_existing: Annotated[
        bool, Option("--skip-existing", help="Leave songs alone whose outputs are all there.")
    ] = False,
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
    sound = Sound(params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision)
    if not offset < math.inf or (duration is not None and not 0 < duration < math.inf):
        raise BadParameter("--offset is seconds from 0 on, --duration seconds above 0")
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.audio.codec import Encoding
    from spleeter.catalogue.jobs import plan, run, songs_at_once
    from spleeter.catalogue.songs import find_songs
    from spleeter.pipeline.selection import Selection
    from spleeter.pipeline.sink import check_clip
    from spleeter.plotting import require_matplotlib

    songs, missing = find_songs(files, output_path)
    for failure in missing:
        logger.error(failure.reason)
    if not songs:
        raise Exit(2)
    with wrong_usage():
        configuration = sound.configuration()
        selection = Selection.choose(configuration.instrument_list, _names(stems), _mixes(mix or []), residual)
        check_clip(clip, Encoding(codec, bitrate, bit_depth))
        audio_adapter = AudioAdapter.get(adapter)
        if plot:
            require_matplotlib()
        planned = plan(songs, output_path, selection.names, codec, filename_format, plot)
    todo = [job for job in planned if not (skip_existing and job.is_done)]
    failures = list(missing)
    if todo:
        with wrong_usage():
            separator = sound.separator(configuration)
        fetch_model(configuration.model_dir)
        separator.load()
        tell_on_terminal(f"{params_filename} on {separator.device}")
        interruption = Interruption()
        bars = BatchProgress(len(todo), interruption.check)

        def separate_one(job: Job) -> None:
            with bars.song(display_name(job.song.name)) as progress:
                separator.separate_to_file(
                    job.song,
                    output_path,
                    audio_adapter,
                    offset,
                    duration,
                    codec,
                    bitrate,
                    filename_format,
                    selection=selection,
                    bit_depth=bit_depth,
                    clip=clip,
                    keep_sample_rate=keep_sample_rate,
                    plot=plot,
                    progress=progress,
                )

        with interruption, bars.batch():
            failures += run(todo, separate_one, jobs or songs_at_once(separator.device.type))
    _report(failures, n_asked=len(planned) + len(missing), n_skipped=len(planned) - len(todo), folder=output_path)
    if failures:
        raise Exit(1)


def _names(stems: str | None) -> list[str] | None:
    """Split "vocals,drums"; None stays None."""
    return None if stems is None else [name.strip() for name in stems.split(",") if name.strip()]


def _mixes(mixes: list[str]) -> dict[str, list[str]]:
    """Split each "name=stem+stem"."""
    split: dict[str, list[str]] = {}
    for mix in mixes:
        name, equals, parts = mix.partition("=")
        if not equals or name.strip() in split:
            raise BadParameter(f"{mix!r}: write NAME=STEM+STEM, each NAME once", param_hint="--mix")
        split[name.strip()] = [part.strip() for part in parts.split("+") if part.strip()]
    return split


def _report(failures: list[Failure], n_asked: int, n_skipped: int, folder: Path) -> None:
    """Say how it went: on a terminal always, else only what failed."""
    if failures and n_asked > 1:
        reasons = "".join(f"\n  {failure.reason}" for failure in failures)
        logger.error("%d of %d failed:%s", len(failures), n_asked, reasons)
    n_done = n_asked - n_skipped - len(failures)
    if n_done or n_skipped:
        skipped = f", {n_skipped} already there" if n_skipped else ""
        tell_on_terminal(f"{n_done} song{'s' * (n_done != 1)} separated into {folder}{skipped}")
