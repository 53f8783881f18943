"""`spleeter dataset`: make and check the lists of songs (CSV) that models are trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from typer import Argument, BadParameter, Exit, Option, Typer, echo

from spleeter.cli.console import configure_messages, usage_errors
from spleeter.cli.help import GroupedCommand
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, DataOption, ReadingAdapterOption, VerboseOption
from spleeter.cli.progress_bars import count_bar
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

if TYPE_CHECKING:
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.configuration import Configuration
    from spleeter.data.inspection import InspectedSong
    from spleeter.data.problems import Problem
    from spleeter.data.song_list import ListedSong

__all__ = ["app"]

app = Typer(no_args_is_help=True, help="Make and check the lists of songs that models are trained with.")

_ConfigurationOption: TypeAlias = Annotated[
    str,
    Option(
        "--model",
        "-p",
        metavar="CONFIG",
        help="Configuration whose stems the songs have: spleeter:NAME or a JSON file.",
    ),
]


@app.command(cls=GroupedCommand, no_args_is_help=True)
def make(
    folder: Annotated[
        Path,
        Argument(
            metavar="FOLDER", help="Tracks: musdb18, musdb18-HQ, or track folders with an audio file for each stem."
        ),
    ],
    params_filename: _ConfigurationOption = "spleeter:2stems",
    output: Annotated[Path, Option("--output", "-o", metavar="CSV", help="List of training songs to write.")] = Path(
        "train.csv"
    ),
    validation: Annotated[
        list[str] | None,
        Option(
            "--validation",
            metavar="NAME",
            help="Song to hold out for validation, may be repeated; or the number of songs to hold out.",
        ),
    ] = None,
    validation_output: Annotated[
        Path, Option("--validation-output", metavar="CSV", help="List of validation songs to write.")
    ] = Path("validation.csv"),
    subset: Annotated[
        str | None,
        Option(
            "--subset",
            metavar="NAME",
            help="Subfolder of FOLDER with the tracks.",
            show_default="train, where there is one",
        ),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite existing lists.")] = False,
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
    verbose: VerboseOption = False,
) -> None:
    """Make a list of songs from a folder of tracks with their stems.

    An accompaniment is the sum of all stems but the vocals. Every file is decoded and checked; songs with problems
    are reported and left out.

    Exit code 0: every song is listed. 1: some have problems. 2: wrong usage, nothing was written. 130: interrupted.
    """
    configure_messages(verbose)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.configuration import Configuration
    from spleeter.data.problems import Severity
    from spleeter.data.song_list import song_list_csv, songs_from_tracks, write_song_list
    from spleeter.data.tracks import find_tracks

    with usage_errors():
        configuration = Configuration.load(params_filename)
        audio_adapter = AudioAdapter.get(adapter)
        songs, problems = songs_from_tracks(
            find_tracks(folder, subset, configuration.instrument_list, "train"), configuration
        )
        held_out = _held_out(songs, validation or [])
        if held_out and output.resolve() == validation_output.resolve():
            raise BadParameter(f"both lists would be written to {display_name(output)}: give each its own name")
        for path in [output, *([validation_output] if held_out else [])]:
            if path.exists() and not force:
                raise BadParameter(f"{display_name(path)} exists: choose another name, or overwrite it with --force")
            if not path.parent.is_dir():
                raise BadParameter(f"there is no folder {display_name(path.parent)} for {display_name(path.name)}")
            song_list_csv(path, songs, configuration)  # raises now rather than when every file has been decoded
    found = _inspect(songs, configuration, audio_adapter)
    problems += [problem for each in found for problem in each.problems]
    good = [each.measured for each in found if each.measured is not None]
    _log_errors(problems)
    training = [song for song in good if song.name not in held_out]
    held_out_songs = [song for song in good if song.name in held_out]
    for path, listed in ((output, training), (validation_output, held_out_songs)):
        if listed:
            write_song_list(path, listed, configuration)
            echo(f"{display_name(path)}: {_summary(listed)}")
    if not training or any(problem.severity is not Severity.WARNING for problem in problems):
        raise Exit(1)


@app.command(cls=GroupedCommand)
def check(
    lists: Annotated[
        list[Path] | None,
        Argument(
            metavar="CSV",
            help="Lists of songs: training, then validation.",
            show_default="the configuration's train_csv and validation_csv",
        ),
    ] = None,
    params_filename: _ConfigurationOption = "spleeter:2stems",
    data: DataOption = None,
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
    verbose: VerboseOption = False,
) -> None:
    """Check lists of songs and all their files, as training does before its first step.

    Exit code 0: a training would start. 1: songs have problems. 2: wrong usage. 130: interrupted.
    """
    configure_messages(verbose)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.configuration import Configuration
    from spleeter.data.dataset import splits_of
    from spleeter.data.inspection import shared_songs
    from spleeter.data.song_list import read_song_list

    with usage_errors():
        configuration = Configuration.load(params_filename)
        audio_adapter = AudioAdapter.get(adapter)
        if not lists and configuration.train_csv is None:
            raise BadParameter("give the lists of songs, or a configuration (-p) with train_csv")
        lists = lists or [each.csv for each in splits_of(configuration)]
    problems: list[Problem] = []
    usable, summaries = [], []
    for path in lists:
        songs, wrong = read_song_list(path, configuration, data)
        found = _inspect(songs, configuration, audio_adapter)
        problems += wrong + [problem for each in found for problem in each.problems]
        usable.append([(each.song, each.inspection) for each in found if each.inspection is not None])
        good = [each.measured for each in found if each.measured is not None]
        summaries.append(f"{display_name(path)}: {_summary(good)}")
    problems += shared_songs(usable[0], [pair for others in usable[1:] for pair in others])
    is_fit = not _log_errors(problems) and all(usable)
    echo("\n".join(f"{summary}, fit for use" if is_fit else summary for summary in summaries))
    if not is_fit:
        raise Exit(1)


def _held_out(songs: list[ListedSong], validation: list[str]) -> set[str]:
    """The names of the validation songs: those that are given, or a number of songs, evenly spread over the list."""
    names = [song.name for song in songs]
    if len(validation) == 1 and validation[0].isdecimal() and validation[0] not in names:
        n = int(validation[0])
        if not 0 <= n < len(names):
            raise BadParameter(f"--validation {n} leaves no song to train on: there are {len(names)}")
        return {names[(2 * k + 1) * len(names) // (2 * n)] for k in range(n)}
    if unknown := [name for name in validation if name not in names]:
        raise BadParameter(f"--validation {unknown[0]}: there is no such song; there are {', '.join(names)}")
    return set(validation)


def _inspect(songs: list[ListedSong], configuration: Configuration, adapter: AudioAdapter) -> list[InspectedSong]:
    from spleeter.data.inspection import inspect_songs

    interruption = Interruption(lambda: "nothing was written")
    with interruption, count_bar("songs", len(songs)) as update:

        def progress(done: int, total: int) -> None:
            interruption.check()
            update(done)

        return inspect_songs(songs, configuration, adapter, progress)


def _log_errors(problems: list[Problem]) -> bool:
    """Log problems; returns whether there are errors among them."""
    from spleeter.data.problems import log_problems

    if errors := log_problems(problems):
        logger.error("%d problem%s in all", errors, "" if errors == 1 else "s")
    return errors > 0


def _summary(songs: list[ListedSong]) -> str:
    minutes = sum(song.duration or 0 for song in songs) / 60
    return f"{len(songs)} song{'' if len(songs) == 1 else 's'}, {minutes:.1f} minutes"
