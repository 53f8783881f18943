"""`spleeter train`: a configuration and lists of songs in, a trained model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Exit, Option, echo

from spleeter.cli.console import configure_messages, print_on_terminal, silence_messages, usage_errors
from spleeter.cli.interruption import Interruption
from spleeter.cli.options import DEFAULT_ADAPTER, DataOption, ModelCodeOption, ReadingAdapterOption, VerboseOption
from spleeter.cli.progress_bars import fetch_model
from spleeter.cli.separation_options import DeviceOption, PrecisionOption
from spleeter.cli.training_progress import TrainingProgress
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

__all__ = ["EXAMPLES", "train"]

_TRAINING = "Training"

EXAMPLES = """\b
Examples:
  spleeter train -p my_model.json
  spleeter train -p my_model.json --from spleeter:2stems -d recordings
  torchrun --nproc-per-node 2 -m spleeter train -p my_model.json

Exit code 0: trained. 1: failed. 2: wrong usage, nothing was done. 130: interrupted; its steps are saved.
"""


def train(
    params_filename: Annotated[
        str,
        Option(
            "--model",
            "-p",
            metavar="CONFIG",
            rich_help_panel=_TRAINING,
            help="JSON configuration file: network, training, lists of songs, and the model_dir to write.",
        ),
    ],
    data: DataOption = None,
    start_from: Annotated[
        str | None,
        Option(
            "--from",
            metavar="MODEL",
            rich_help_panel=_TRAINING,
            help="Fine-tune: start from the weights of spleeter:NAME, a JSON file's model, or a model's folder.",
            show_default="random weights",
        ),
    ] = None,
    parts: Annotated[
        int,
        Option(
            "--parts",
            min=1,
            metavar="N",
            rich_help_panel=_TRAINING,
            help="Split each batch into N micro-batches and accumulate their gradients, to save memory.",
        ),
    ] = 1,
    skip_bad: Annotated[
        bool, Option("--skip-bad", help="Leave out songs with problems, rather than fail.", rich_help_panel=_TRAINING)
    ] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    model_code: ModelCodeOption = None,
    adapter: ReadingAdapterOption = DEFAULT_ADAPTER,
    verbose: VerboseOption = False,
) -> None:
    """Train a model, or resume the training in its model_dir.

    All songs are checked before the first step. Ctrl-C saves and stops. model_dir holds a usable model from the
    first save on, and in training/ its curves (history.csv, and TensorBoard's event files if that is installed).
    """
    configure_messages(verbose)
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.configuration import Configuration

    with usage_errors():
        configuration = Configuration.load(params_filename)
        audio_adapter = AudioAdapter.get(adapter)
        source = Configuration.load(start_from) if start_from else None
    if source is not None:
        fetch_model(source.model_dir)
    print_on_terminal("starting")  # torch takes a second to import
    from spleeter.training.distributed import Ranks
    from spleeter.training.train import train as run_training

    is_first = Ranks.from_environment().is_first
    if not is_first:
        silence_messages()
    has_cache = configuration.training_cache or configuration.validation_cache
    kept = "finished excerpts are kept in the cache" if has_cache else "no excerpts are kept without training_cache"
    interruption = Interruption(lambda: f"no step was made; {kept}")
    with interruption, TrainingProgress(interruption, is_shown=is_first) as progress:
        outcome = run_training(
            configuration,
            data=None if data is None else Path(data),
            adapter=audio_adapter,
            start_from=start_from,
            device=device,
            precision=precision,
            n_micro_batches=parts,
            skip_bad=skip_bad,
            trust=model_code or (),
            watcher=progress,
        )
    folder, step = display_name(outcome.model_dir), outcome.record.step
    if not is_first:
        raise Exit(0 if outcome.is_done else 128 + (interruption.received or 0))
    if not outcome.is_done:
        logger.error("interrupted; step %d is saved in %s, and the same command resumes from there", step, folder)
        raise Exit(128 + (interruption.received or 0))
    if not progress.has_begun:
        logger.info("%s is at step %d already: raise train_max_steps to train on", folder, step)
    loss, best_step = outcome.record.best_loss, outcome.record.best_step
    best = "" if loss is None else f"; the model is that of step {best_step}, with a validation loss of {loss:.6g}"
    echo(f"{folder}: trained for {step} steps{best}")
    print_on_terminal(f"try it: spleeter separate -p {folder} SONG")
