"""Tracks with known stems -> separated stems and their scores; a stopped evaluation can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import Codec, Encoding
from spleeter.data.tracks import Track, load_track
from spleeter.errors import EncodeError, EvaluationError
from spleeter.evaluation.bss_eval import bss_eval
from spleeter.evaluation.report import METRICS_FOLDER
from spleeter.evaluation.scores import FRAME_METRICS, TargetScores, TrackScores, read_scores, to_json
from spleeter.evaluation.sdr import sdr, si_sdr
from spleeter.evaluation.windows import silent_frames
from spleeter.separator import Progress, Separator
from spleeter.types import Waveform
from spleeter.utils.logging import log_failure, logger
from spleeter.utils.names import display_name, is_file_name_part
from spleeter.utils.whole_file import write_whole

__all__ = [
    "AUDIO_FOLDER",
    "FRAME_SECONDS",
    "Method",
    "OpenProgress",
    "TrackFailure",
    "TrackTask",
    "evaluate",
    "plan_tracks",
    "score",
    "score_tracks",
]

AUDIO_FOLDER = "audio"
"""Below it: METHOD/SUBSET/TRACK/STEM.wav."""

FRAME_SECONDS = 1.0
"""Window and hop of the frames: those of the SiSEC campaigns, and museval's default."""

_SETTINGS_FILE = "settings.json"

OpenProgress: TypeAlias = Callable[[str], AbstractContextManager[Progress | None]]
"""Called with a track's name. The context that it returns is entered around the work, and gives the track's progress
callback."""


@dataclass(frozen=True)
class Method:
    """A separator that is evaluated, and its name in folders and tables."""

    name: str
    separator: Separator


@dataclass(frozen=True)
class TrackTask:
    """A track to be scored with a method.

    Attributes:
        track: the track.
        method: the method.
        instruments: those that the method separates and the track has.
        output: the folder for scores and stems.
    """

    track: Track
    method: Method
    instruments: tuple[str, ...]
    output: Path

    @property
    def metrics_file(self) -> Path:
        """The file for the scores."""
        return self.output / METRICS_FOLDER / self.method.name / self.track.subset / f"{self.track.name}.json"

    @property
    def source(self) -> str:
        """The track's path, which is stored with the scores."""
        return str(self.track.path.resolve())

    @property
    def is_done(self) -> bool:
        """Whether the file with the scores is complete, of the same path, and has all the instruments."""
        try:
            scores = read_scores(self.metrics_file)
        except EvaluationError:
            return False
        return scores.source == self.source and tuple(target.name for target in scores.targets) == self.instruments


@dataclass(frozen=True)
class TrackFailure:
    """A track that could not be scored, and the reason in one line."""

    task: TrackTask
    reason: str


def evaluate(
    tracks: Iterable[Track],
    methods: Iterable[Method],
    output: Path,
    *,
    adapter: AudioAdapter | None = None,
    keep_audio: bool = True,
) -> list[TrackFailure]:
    """Separate and score every track with every method: `plan_tracks`, then `score_tracks`."""
    return score_tracks(plan_tracks(tracks, methods, output), adapter=adapter, keep_audio=keep_audio)


def plan_tracks(tracks: Iterable[Track], methods: Iterable[Method], output: Path) -> list[TrackTask]:
    """List what remains to be done, method by method: all but the tracks whose scores are in the output folder.

    Logs a warning for instruments that tracks lack. Each method's settings are stored with its scores.

    Raises:
        EvaluationError: if no track has a stem that a method separates, the output folder has scores of a method of
            the same name with other settings, or a method's name cannot be a folder's.
        EncodeError: if the output folder cannot be written to.
    """
    tracks, remaining = list(tracks), []
    for method in methods:
        separated = method.separator.instruments
        instruments = [tuple(name for name in separated if track.components(name)) for track in tracks]
        _check_method(method, instruments)
        _store_settings(method, output)
        tasks = [TrackTask(track, method, names, output) for track, names in zip(tracks, instruments, strict=True)]
        remaining += [task for task in tasks if not task.is_done]
    return remaining


def score_tracks(
    tasks: Iterable[TrackTask],
    *,
    adapter: AudioAdapter | None = None,
    keep_audio: bool = True,
    open_progress: OpenProgress | None = None,
) -> list[TrackFailure]:
    """Separate and score tracks, one after the other, each with all cores.

    Scores are written to `metrics/METHOD/SUBSET/TRACK.json` below the output folder, in museval's format, and the
    separated stems to `audio/METHOD/SUBSET/TRACK/STEM.wav`, in 32-bit floats. A track that fails is logged, and the
    others continue.

    Args:
        tasks: from `plan_tracks`.
        adapter: reads the tracks' files; None takes the default.
        keep_audio: write the separated stems.
        open_progress: reports the progress of each track.

    Returns:
        The tracks that failed.

    Raises:
        ModelError: if a method's model cannot be loaded.
    """
    failures = []
    for task in tasks:
        task.method.separator.load()
        try:
            with open_progress(task.track.name) if open_progress else nullcontext() as progress:
                _score_track(task, adapter, keep_audio, progress)
        except Exception as error:  # of any kind: the other tracks continue
            failures.append(TrackFailure(task, log_failure(error, display_name(task.track.name))))
    return failures


def score(
    names: Sequence[str], references: Waveform, estimates: Waveform, sample_rate: int
) -> tuple[TargetScores, ...]:
    """All scores of a track's stems: BSS Eval v4 of each frame of a second, SDR and SI-SDR of the whole track.

    Args:
        names: the stems' names.
        references: float32 (stems, samples, channels).
        estimates: float32 (stems, samples, channels).
        sample_rate: in hertz.

    Raises:
        EvaluationError: as `bss_eval`.
    """
    window = round(FRAME_SECONDS * sample_rate)
    by_frame = bss_eval(references, estimates, window, window)
    tensors = torch.from_numpy(references), torch.from_numpy(estimates)
    whole = {"global SDR": sdr(*tensors), "SI-SDR": si_sdr(*tensors)}
    return tuple(
        TargetScores(
            name,
            {metric: getattr(by_frame, metric.lower())[index] for metric in FRAME_METRICS},
            {metric: float(values[index]) for metric, values in whole.items()},
        )
        for index, name in enumerate(names)
    )


def _check_method(method: Method, instruments: Sequence[Sequence[str]]) -> None:
    """Check a method against the instruments that are scored of each track; log those that are not scored."""
    if not is_file_name_part(method.name):
        raise EvaluationError(f"the name of a method is the name of a folder, which {method.name!r} cannot be")
    separated = method.separator.instruments
    if not any(instruments):
        raise EvaluationError(f"{method.name} separates {', '.join(separated)}, and no track has any of these stems")
    for name in separated:
        if n_missing := sum(name not in names for names in instruments):
            logger.warning(
                "%s is not scored on %d of %d tracks: they have no such stem", name, n_missing, len(instruments)
            )


def _store_settings(method: Method, output: Path) -> None:
    """Write a method's settings beside its scores, or raise EvaluationError if other settings are there."""
    file = output / METRICS_FOLDER / method.name / _SETTINGS_FILE
    separator = method.separator
    options = {"quality": asdict(separator.quality), "precision": separator.precision}
    settings = json.dumps({**separator.configuration.to_dict(), **options}, indent=4).encode()
    try:
        stored = file.read_bytes() if file.exists() else None
    except OSError as error:
        raise EvaluationError(f"cannot read {display_name(file)}: {error.strerror or error}") from error
    if stored is None:
        write_whole(file, settings, EncodeError)
    elif stored != settings:
        raise EvaluationError(
            f"{display_name(file.parent)} has scores that were made with other settings; "
            "choose another name (--method) or another output folder"
        )


def _score_track(task: TrackTask, adapter: AudioAdapter | None, keep_audio: bool, progress: Progress | None) -> None:
    """Read, separate and score a track. If `progress` raises, nothing is written."""
    if not task.instruments:
        raise EvaluationError(
            f"{display_name(task.track.path)}: it has none of the stems that {task.method.name} separates"
        )
    configuration = task.method.separator.configuration
    rate = configuration.sample_rate
    audio = load_track(task.track, task.instruments, rate, configuration.n_channels, adapter)
    if progress is not None:
        progress(0, len(audio.mixture))
    stems = task.method.separator.separate(audio.mixture, progress=progress)
    estimates = np.stack([stems[name] for name in task.instruments])  # (stems, samples, channels)
    stems.update(zip(task.instruments, estimates, strict=True))  # views, so that no stem is in memory twice
    targets = score(task.instruments, audio.references, estimates, rate)
    _log_silence(task, audio.references, estimates, rate)
    if keep_audio:
        folder = task.output / AUDIO_FOLDER / task.method.name / task.track.subset / task.track.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, stem in stems.items():
            writer = AudioAdapter.default().create(
                folder / f"{name}.wav", rate, stem.shape[1], Encoding(Codec.WAV, bit_depth=32)
            )
            writer.write_all([stem])
    write_whole(task.metrics_file, to_json(TrackScores(task.source, FRAME_SECONDS, targets)).encode(), EncodeError)


def _log_silence(task: TrackTask, references: Waveform, estimates: Waveform, sample_rate: int) -> None:
    """Log how many frames museval's rule leaves unscored, and which stems are silent in them."""
    window = round(FRAME_SECONDS * sample_rate)
    is_silent = [silent_frames(torch.from_numpy(signals), window, window) for signals in (references, estimates)]
    labels = [*task.instruments, *(f"the estimate of {name}" for name in task.instruments)]
    silent = [label for label, frames in zip(labels, torch.cat(is_silent), strict=True) if frames.any()]
    if silent:
        unscored = torch.cat(is_silent).any(0)
        logger.info(
            "%s: silent at times: %s; museval's rule leaves %d of %d frames unscored",
            *(display_name(task.track.name), ", ".join(silent), int(unscored.sum()), len(unscored)),
        )
