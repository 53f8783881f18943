"""Separating tracks whose stems are known, and scoring what comes out, so that a stopped run can go on."""

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
from spleeter.evaluation.scores import FRAME_METRICS, TargetScores, TrackScores, read, to_json
from spleeter.evaluation.sdr import sdr, si_sdr
from spleeter.evaluation.windows import silent_frames
from spleeter.separator import Progress, Separator
from spleeter.types import Waveform
from spleeter.utils.logging import log_failure, logger
from spleeter.utils.names import display_name, is_file_name_part
from spleeter.utils.whole_file import write_whole

AUDIO_FOLDER = "audio"
"""Below it: METHOD/SUBSET/TRACK/STEM.wav."""

FRAME_SECONDS = 1.0
"""Length of a frame, and from one to the next: those of the SiSEC campaigns, which museval takes by default."""

_SETTINGS_FILE = "settings.json"

Announce: TypeAlias = Callable[[str], AbstractContextManager[Progress | None]]
"""Called with a track's name; what it returns is entered around the work, and gives who is told the progress."""


@dataclass(frozen=True)
class Method:
    """A way of separating that is evaluated: its name in folders and tables, and the separator that does it."""

    name: str
    separator: Separator


@dataclass(frozen=True)
class Job:
    """A track to be scored with a method, and the instruments that it has and the method gives."""

    track: Track
    method: Method
    instruments: tuple[str, ...]
    output: Path

    @property
    def metrics_file(self) -> Path:
        """Where the scores are written."""
        return self.output / METRICS_FOLDER / self.method.name / self.track.subset / f"{self.track.name}.json"

    @property
    def source(self) -> str:
        """The track's path as it is noted beside the scores."""
        return str(self.track.path.resolve())

    @property
    def is_done(self) -> bool:
        """Whether the scores are there: whole, of this very file or folder, and of all the instruments."""
        try:
            scores = read(self.metrics_file)
        except EvaluationError:
            return False
        return scores.source == self.source and tuple(target.name for target in scores.targets) == self.instruments


@dataclass(frozen=True)
class Failure:
    """A track that could not be scored, and the one-line reason."""

    job: Job
    reason: str


def evaluate(
    tracks: Iterable[Track],
    methods: Iterable[Method],
    output: Path,
    *,
    adapter: AudioAdapter | None = None,
    keep_audio: bool = True,
) -> list[Failure]:
    """Separate and score every track with every method: `run` for what `plan` leaves to do."""
    return run(plan(tracks, methods, output), adapter=adapter, keep_audio=keep_audio)


def plan(tracks: Iterable[Track], methods: Iterable[Method], output: Path) -> list[Job]:
    """What is left to do, method by method: all but the tracks whose scores are in the output folder already.

    The logger is warned of instruments that tracks lack. Each method's settings are noted beside its scores.

    Raises:
        EvaluationError: if no track has a stem that a method gives, the output folder holds scores that a method of
            the same name and other settings has made, or a method's name cannot be a folder's.
        EncodeError: if the output folder cannot be written to.
    """
    tracks, todo = list(tracks), []
    for method in methods:
        jobs = [Job(track, method, _instruments(track, method), output) for track in tracks]
        _check_method(method, jobs)
        _check_settings(method, output)
        todo += [job for job in jobs if not job.is_done]
    return todo


def run(
    jobs: Iterable[Job],
    *,
    adapter: AudioAdapter | None = None,
    keep_audio: bool = True,
    announce: Announce | None = None,
) -> list[Failure]:
    """Separate and score tracks, one after the other, each with all cores.

    Scores go to `metrics/METHOD/SUBSET/TRACK.json` below the output folder, in museval's format, and the separated
    stems to `audio/METHOD/SUBSET/TRACK/STEM.wav`, in 32-bit floats. A track that fails is told to the logger, and the
    others go on.

    Args:
        adapter: reads the tracks' files; None takes the default.
        keep_audio: write the separated stems.
        announce: is told of each track.

    Raises:
        ModelError: if a method's model cannot be had.
    """
    failures = []
    for job in jobs:
        job.method.separator.load()
        try:
            with (announce or _quietly)(job.track.name) as progress:
                _evaluate_track(job, adapter, keep_audio, progress)
        except Exception as error:  # this track fails alone, whatever it is
            failures.append(Failure(job, log_failure(error, display_name(job.track.name))))
    return failures


def _instruments(track: Track, method: Method) -> tuple[str, ...]:
    return tuple(name for name in method.separator.instruments if track.components(name))


def _check_method(method: Method, jobs: Sequence[Job]) -> None:
    """Say which instruments are not scored; refuse to go on if all are so, or no folder can have the name."""
    if not is_file_name_part(method.name):
        raise EvaluationError(f"a method's name becomes a folder, which {method.name!r} cannot be")
    given = method.separator.instruments
    if not any(job.instruments for job in jobs):
        raise EvaluationError(f"{method.name} gives {', '.join(given)}, and no track has any of these stems")
    for name in given:
        if n_lacking := sum(name not in job.instruments for job in jobs):
            logger.warning("%s is not scored on %d of %d tracks: they have no such stem", name, n_lacking, len(jobs))


def _check_settings(method: Method, output: Path) -> None:
    """Note a method's settings beside its scores; refuse to mix them with those of another."""
    file = output / METRICS_FOLDER / method.name / _SETTINGS_FILE
    separator = method.separator
    beside = {"quality": asdict(separator.quality), "precision": separator.precision}
    settings = json.dumps({**separator.configuration.to_dict(), **beside}, indent=4).encode()
    try:
        noted = file.read_bytes() if file.exists() else None
    except OSError as error:
        raise EvaluationError(f"cannot read {display_name(file)}: {error.strerror or error}") from error
    if noted is None:
        write_whole(file, settings, EncodeError)
    elif noted != settings:
        raise EvaluationError(
            f"{display_name(file.parent)} holds scores that were made with other settings; "
            "choose another name (--method) or another output folder"
        )


def _evaluate_track(job: Job, adapter: AudioAdapter | None, keep_audio: bool, progress: Progress | None) -> None:
    """Read, separate and score a track; what `progress` raises between these stops it before anything is written."""
    if not job.instruments:
        raise EvaluationError(
            f"{display_name(job.track.path)}: it has none of the stems that {job.method.name} gives"
        )
    configuration = job.method.separator.configuration
    rate = configuration.sample_rate
    sound = load_track(job.track, job.instruments, rate, configuration.n_channels, adapter)
    if progress is not None:
        progress(0, len(sound.mixture))
    stems = job.method.separator.separate(sound.mixture, progress=progress)
    estimates = np.stack([stems[name] for name in job.instruments])
    stems.update(zip(job.instruments, estimates, strict=True))  # views, so that no stem is held twice
    targets = score(job.instruments, sound.references, estimates, rate)
    _tell_silence(job, sound.references, estimates, rate)
    if keep_audio:
        folder = job.output / AUDIO_FOLDER / job.method.name / job.track.subset / job.track.name
        for name, stem in stems.items():
            _save(folder / f"{name}.wav", stem, rate)
    write_whole(job.metrics_file, to_json(TrackScores(job.source, FRAME_SECONDS, targets)).encode(), EncodeError)


def score(
    names: Sequence[str], references: Waveform, estimates: Waveform, sample_rate: int
) -> tuple[TargetScores, ...]:
    """All scores of a track's stems: BSS Eval v4 second by second, and the ratios of the whole track.

    Args:
        names: of the stems.
        references: float32 (stems, samples, channels).
        estimates: the same shape.
        sample_rate: in hertz.

    Raises:
        EvaluationError: if the arrays are not such signals.
    """
    window = round(FRAME_SECONDS * sample_rate)
    by_frame = bss_eval(references, estimates, window, window)
    true, given = torch.from_numpy(references), torch.from_numpy(estimates)
    whole = {"global SDR": sdr(true, given), "SI-SDR": si_sdr(true, given)}
    return tuple(
        TargetScores(
            name,
            {metric: getattr(by_frame, metric.lower())[number] for metric in FRAME_METRICS},
            {metric: float(values[number]) for metric, values in whole.items()},
        )
        for number, name in enumerate(names)
    )


def _tell_silence(job: Job, references: Waveform, estimates: Waveform, sample_rate: int) -> None:
    """Say how many frames museval's rule leaves unscored, and because of which stems."""
    window = round(FRAME_SECONDS * sample_rate)
    true, given = (silent_frames(torch.from_numpy(signals), window, window) for signals in (references, estimates))
    silent = [name for name, frames in zip(job.instruments, true, strict=True) if frames.any()]
    silent += [f"the estimate of {name}" for name, frames in zip(job.instruments, given, strict=True) if frames.any()]
    if silent:
        unscored = (true | given).any(0)
        told = display_name(job.track.name), ", ".join(silent), int(unscored.sum()), len(unscored)
        logger.info("%s: silent at times: %s; museval's rule leaves %d of %d frames unscored", *told)


def _save(path: Path, stem: Waveform, sample_rate: int) -> None:
    """Write a stem as it is, in 32-bit floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = Encoding(Codec.WAV, bit_depth=32)
    AudioAdapter.default().create(path, sample_rate, stem.shape[1], encoding).write_all([stem])


def _quietly(name: str) -> AbstractContextManager[None]:
    return nullcontext()
