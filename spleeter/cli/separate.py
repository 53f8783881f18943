"""`spleeter separate`: songs and folders of songs in, stems out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from typer import Argument, BadParameter, Exit, Option

from spleeter.catalogue.songs import FoundSongs, Song, find_songs
from spleeter.cli.console import configure_messages, usage_errors
from spleeter.cli.help import INPUT, MACHINE, ORIGINAL, OUTPUT, SOUND
from spleeter.cli.options import DEFAULT_ADAPTER, ModelCodeOption, ThreadsOption, VerboseOption
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
from spleeter.cli.streams import STDIN, original_lines
from spleeter.cli.values import parse_codec_name, parse_mixes, parse_names, parse_seconds
from spleeter.utils.logging import logger
from spleeter.utils.names import FILENAME_FORMAT, display_name

__all__ = ["EXAMPLES", "separate"]

EXAMPLES = """\b
Examples:
  spleeter separate song.mp3
  spleeter separate -p spleeter:4stems -c flac -o stems album/ more/*.ogg
  spleeter separate --karaoke -c mp3 song.mp3
  spleeter separate --stems vocals --mono --sample-rate 16000 talk.mp4

Exit code 0: every song was separated. 1: at least one failed. 2: wrong usage, nothing was done. 130: interrupted.
"""

_FEW_KINDS = 5
"""Kinds of files without audio that are listed; the others are summed."""

if TYPE_CHECKING:  # what a caller in Python may give
    _Songs: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    _Time: TypeAlias = str | float
else:  # what the command line gives; Typer takes no unions
    _Songs, _Time = list[str], str


def separate(
    files: Annotated[
        _Songs | None,
        Argument(
            metavar="SONG",
            help="Songs, and folders of songs; - reads a song from standard input.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    offset: Annotated[
        _Time,
        Option(
            "--offset",
            "-s",
            metavar="TIME",
            help="Start here: seconds, 1:30 or 1:02:03.5.",
            rich_help_panel=INPUT,
        ),
    ] = "0",
    duration: Annotated[
        _Time | None,
        Option(
            "--duration",
            "-d",
            metavar="TIME",
            help="Separate this much at most.",
            show_default="all",
            rich_help_panel=INPUT,
        ),
    ] = None,
    stream: Annotated[
        int | None,
        Option(
            "--stream",
            metavar="N",
            min=0,
            help="Audio stream of the file, counted from 0.",
            show_default="the default one",
            rich_help_panel=INPUT,
        ),
    ] = None,
    keep_start: Annotated[
        bool,
        Option(
            "--keep-start",
            help="Begin the stems at the video's first picture, where the sound starts later.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    output_path: Annotated[
        str,
        Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the stems; - writes a single output to standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = "separated_audio",
    codec: Annotated[
        str | None,
        Option(
            "--codec",
            "-c",
            metavar="CODEC",
            help="wav, mp3, ogg, m4a, wma, flac or opus.",
            show_default="wav, or what --filename-format ends in",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    bitrate: Annotated[
        str | None,
        Option(
            "--bitrate",
            "-b",
            metavar="RATE",
            help="Bit rate of lossy codecs, such as 192k.",
            show_default="the song's, or 256k",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    stems: Annotated[
        str | None,
        Option(
            "--stems",
            metavar="NAMES",
            help="Stems to write: vocals,drums. karaoke or instrumental: all but the vocals.",
            show_default="all",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    karaoke: Annotated[
        bool,
        Option("--karaoke", help="Write the song without its vocals: --stems karaoke.", rich_help_panel=OUTPUT),
    ] = False,
    mix: Annotated[
        list[str] | None,
        Option(
            "--mix",
            metavar="NAME=STEM+STEM",
            help="Also write a sum of stems, with gains if you like: soft=-6dB*vocals+0.8*drums. May be repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    residual: Annotated[
        str | None,
        Option(
            "--residual",
            metavar="NAME",
            help="Also write the song minus the stems of the other outputs, as NAME.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    filename_format: Annotated[
        str,
        Option(
            "--filename-format",
            "-f",
            metavar="FORMAT",
            help="Path of each output below the folder; fields: {filename}, {foldername}, {instrument}, {codec}.",
            rich_help_panel=OUTPUT,
        ),
    ] = FILENAME_FORMAT,
    skip_existing: Annotated[
        bool,
        Option("--skip-existing", help="Skip songs whose outputs are all there, complete.", rich_help_panel=OUTPUT),
    ] = False,
    title_stem: Annotated[
        bool,
        Option("--title-stem", help="Name the stem in the title tag of each output.", rich_help_panel=OUTPUT),
    ] = False,
    plot: Annotated[
        bool,
        Option(
            "--plot",
            help="Also plot spectrograms and masks: spectrograms.png beside the stems.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    params_filename: ModelOption = "spleeter:2stems",
    quality: QualityOption = None,
    sample_rate: Annotated[
        int | None,
        Option(
            "--sample-rate",
            metavar="HZ",
            help="Sample rate of the outputs, such as 16000.",
            show_default="the model's, 44100",
            rich_help_panel=SOUND,
        ),
    ] = None,
    keep_sample_rate: Annotated[
        bool,
        Option("--keep-sample-rate", help="Write at the song's own sample rate instead.", rich_help_panel=SOUND),
    ] = False,
    mono: Annotated[bool, Option("--mono", help="Write the mean of the channels.", rich_help_panel=SOUND)] = False,
    bit_depth: Annotated[
        int | None,
        Option(
            "--bit-depth",
            metavar="BITS",
            help="wav: 16, 24 or 32 (float); flac: 16 or 24.",
            show_default="24 for a song of more than 16 bits, else 16",
            rich_help_panel=SOUND,
        ),
    ] = None,
    clip: Annotated[
        Literal["clamp", "rescale", "none"],
        Option(
            "--clip",
            help="Samples beyond full scale: clamp them, rescale all outputs, or keep them.",
            rich_help_panel=SOUND,
        ),
    ] = "clamp",
    bandwidth: BandwidthOption = None,
    overlap: OverlapOption = None,
    shifts: ShiftsOption = None,
    device: DeviceOption = "auto",
    jobs: Annotated[
        int | None,
        Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Songs to separate in parallel.",
            show_default="1, with CUDA up to 8",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    threads: ThreadsOption = None,
    precision: PrecisionOption = "float32",
    model_code: ModelCodeOption = None,
    verbose: VerboseOption = False,
    exact: ExactOption = False,
    mwf: MwfOption = False,
    adapter: Annotated[
        str,
        Option(
            "--adapter",
            "-a",
            metavar="CLASS",
            help="Class that reads and writes audio files, by its full path.",
            show_default="FFmpeg's libraries",
            rich_help_panel=ORIGINAL,
        ),
    ] = DEFAULT_ADAPTER,
    deprecated_files: Annotated[
        _Songs | None,
        Option("--inputs", "-i", metavar="SONG", help="A song, as without -i.", rich_help_panel=ORIGINAL),
    ] = None,
    stft_backend: Annotated[
        str | None,
        Option("--stft-backend", "-B", metavar="NAME", help="Has no effect any more.", rich_help_panel=ORIGINAL),
    ] = None,
) -> None:
    """Separate songs into stems: separated_audio/song/vocals.wav, ..."""
    configure_messages(verbose)
    if stft_backend is not None:
        logger.debug("--stft-backend %s has no effect: there is one STFT", stft_backend)
    if deprecated_files:
        logger.info("-i is deprecated: name the songs without it, as in `spleeter separate song.mp3`")
    songs = [*_texts(deprecated_files), *_texts(files)]
    if not songs:
        raise BadParameter("name at least one song, or a folder of songs")
    start = parse_seconds(offset, "--offset")
    length = None if duration is None else parse_seconds(duration, "--duration")
    if length == 0:
        raise BadParameter("0 leaves nothing to separate", param_hint="--duration")
    options = SeparationOptions(
        params_filename, mwf, quality, overlap, shifts, bandwidth, exact, device, precision, threads, model_code
    )
    names = None if stems is None and not karaoke else [*parse_names(stems or ""), *["karaoke"] * karaoke]
    folder = None if os.fspath(output_path) == "-" else Path(output_path)
    with original_lines():
        found = _find([STDIN if song == "-" else Path(song) for song in songs], folder)
        from spleeter.audio.adapter import AudioAdapter
        from spleeter.cli.batch import Batch
        from spleeter.pipeline.options import Input, Output
        from spleeter.plotting import require_matplotlib

        with usage_errors():
            output = Output(
                names,
                parse_mixes(mix or []),
                residual,
                None if codec is None else parse_codec_name(codec),
                bitrate,
                bit_depth,
                clip,
                keep_sample_rate,
                filename_format,
                plot,
                sample_rate=sample_rate,
                mono=mono,
                title_stem=title_stem,
            )
            source = Input(stream, keep_start)
            audio_adapter = AudioAdapter.get(adapter)
            if plot:
                require_matplotlib()
        batch = Batch(found, folder, start, length, source, output, options, audio_adapter, skip_existing, jobs)
        failures = batch.run()
    if failures:
        raise Exit(1)


def _find(inputs: Sequence[Path], folder: Path | None) -> FoundSongs:
    """The songs that the inputs stand for. What is wrong with the others is logged; without any song it exits."""
    found = find_songs([path for path in inputs if path != STDIN], folder)
    if STDIN in inputs:
        found.songs.insert(0, Song(STDIN, is_named=True))
    if found.left_out:
        logger.info("%s", _left_out(found.left_out))
    for failure in found.failures:
        logger.error(failure.reason)
    if not found.songs:
        raise Exit(2)
    return found


def _left_out(kinds: Mapping[str, int]) -> str:
    """A line about the files that were left out: "3 files without audio left out: 2 .jpg, 1 .txt"."""
    n_files = sum(kinds.values())
    listed = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    parts = [f"{number} {display_name(kind) if kind else 'without extension'}" for kind, number in listed]
    if len(parts) > _FEW_KINDS:
        parts[_FEW_KINDS:] = [f"{sum(number for _, number in listed[_FEW_KINDS:])} of other kinds"]
    return f"{n_files} file{'s' * (n_files != 1)} without audio left out: {', '.join(parts)}"


def _texts(values: _Songs | None) -> list[str]:
    """One path or several, as text."""
    if values is None:
        return []
    return [os.fspath(value) for value in ([values] if isinstance(values, str | os.PathLike) else values)]
