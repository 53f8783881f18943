"""Tracks with known stems -> separated stems and their scores; a stopped evaluation can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import Codec, Encoding
from spleeter.data.tracks import MIXTURE, Track, load_track
from spleeter.errors import EncodeError, EvaluationError
from spleeter.evaluation.bss_eval import bss_eval
from spleeter.evaluation.report import METRICS_FOLDER
from spleeter.evaluation.scores import FRAME_METRICS, TargetScores, TrackScores, read_scores, to_json
from spleeter.evaluation.sdr import sdr, si_sdr
from spleeter.evaluation.windows import silent_frames
from spleeter.model.checkpoint import open_weights
from spleeter.model.provider import ModelProvider
from spleeter.separator import Progress, Separator
from spleeter.types import Waveform
from spleeter.utils.logging import log_failure, logger
from spleeter.utils.names import display_name, is_file_name_part, reason
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

_SEPARATION_KEYS = (
    "model_dir", "instrument_list", "model", "sample_rate", "n_channels", "frame_length", "frame_step", "T", "F",
    "separation_exponent", "mask_extension", "MWF",
)  # fmt: skip
"""The keys of a configuration that scores depend on; the others are those of its training."""

OpenProgress: TypeAlias = Callable[[str], AbstractContextManager[Progress | None]]
"""Called with a track's name. The context that it returns is entered around the work, and gives the track's progress
callback."""


@dataclass(frozen=True)
class Method:
    """A separator that is evaluated, and its name in folders and tables."""

    name: str
    separator: Separator

    @property
    def settings(self) -> dict[str, Any]:
        """What scores depend on besides weights and tracks, as in JSON."""
        keys = self.separator.configuration.to_dict()
        options = {"quality": asdict(self.separator.quality), "precision": self.separator.precision}
        return {**{key: keys[key] for key in _SEPARATION_KEYS}, **options, "exact": self.separator.exact}

    @cached_property
    def weights_digest(self) -> str:
        """A hash of the model's weights, computed at the first use. Raises ModelError."""
        return _weights_digest(self.separator)

    @property
    def digest(self) -> str:
        """A hash of settings and weights. Raises ModelError."""
        text = json.dumps([self.settings, self.weights_digest], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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

    def made_from(self) -> dict[str, str]:
        """Hashes of all that the scores depend on. Raises ModelError; EvaluationError if a file cannot be read."""
        return {"method": self.method.digest, "track": _track_digest(self.track)}

    @property
    def is_done(self) -> bool:
        """Whether the file with the scores is complete, and was made from the same track, settings and weights."""
        try:
            scores = read_scores(self.metrics_file)
            if scores.source != self.source or tuple(each.name for each in scores.targets) != self.instruments:
                return False
            return bool(scores.made_from) and scores.made_from == self.made_from()
        except EvaluationError:
            return False


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

    Logs a warning for instruments that tracks lack. Each method's settings are stored with its scores. Scores, and
    the estimated stems beside them, that a method of the same name and settings made with other weights or from other
    files are removed, which is logged.

    Raises:
        EvaluationError: if no track has a stem that a method separates, the output folder has scores of a method of
            the same name with other settings, or a method's name cannot be a folder's.
        EncodeError: if the output folder cannot be written to.
        ModelError: if the weights that scores there may be of cannot be had.
    """
    tracks, remaining = list(tracks), []
    for method in methods:
        separated = method.separator.instruments
        instruments = [tuple(name for name in separated if track.components(name)) for track in tracks]
        _check_method(method, instruments)
        _store_settings(method, output)
        tasks = [TrackTask(track, method, names, output) for track, names in zip(tracks, instruments, strict=True)]
        tasks = [task for task in tasks if not task.is_done]
        _remove_outdated(method, tasks, output)
        remaining += tasks
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
        EvaluationError: if its weights change meanwhile.
    """
    failures, loaded = [], set()
    for task in tasks:
        if task.method.name not in loaded:
            _load(task.method)
            loaded.add(task.method.name)
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
    settings = {**method.separator.configuration.to_dict(), **method.settings}
    stored: Mapping[str, Any] = {}
    try:
        with suppress(FileNotFoundError, ValueError, TypeError):  # the last two: cut off
            stored = dict(json.loads(file.read_bytes()))
    except OSError as error:
        raise EvaluationError(f"cannot read {display_name(file)}: {reason(error)}") from error
    as_stored = json.loads(json.dumps(method.settings))
    if any(key in stored and stored[key] != value for key, value in as_stored.items()):
        raise EvaluationError(
            f"{display_name(file.parent)} has scores that were made with other settings; "
            "choose another name (--method) or another output folder"
        )
    if stored != json.loads(json.dumps(settings)):
        write_whole(file, json.dumps(settings, indent=4).encode(), EncodeError)


def _remove_outdated(method: Method, tasks: Sequence[TrackTask], output: Path) -> None:
    """Remove what a method of this name made before with other weights, and of the tracks that are to be scored."""
    folder = output / METRICS_FOLDER / method.name
    outdated = {task.metrics_file for task in tasks if task.metrics_file.exists()}
    for path in folder.glob("*/*.json"):
        with suppress(EvaluationError):
            if read_scores(path).made_from.get("method") != method.digest:
                outdated.add(path)
    if not outdated:
        return
    try:
        for path in outdated:
            for stem_file in _stem_files(method, output, path.parent.name, path.stem).values():
                stem_file.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    except OSError as error:
        raise EncodeError(f"cannot remove outdated scores in {display_name(folder)}: {reason(error)}") from error
    n_tracks = "1 track" if len(outdated) == 1 else f"{len(outdated)} tracks"
    logger.info(
        "%s: removed scores of %s, which are not of these weights and files",
        *(display_name(folder), n_tracks),
    )


def _stem_files(method: Method, output: Path, subset: str, track: str) -> dict[str, Path]:
    """Instrument -> the file for its estimate."""
    folder = output / AUDIO_FOLDER / method.name / subset / track
    return {name: folder / f"{name}.wav" for name in method.separator.instruments}


def _load(method: Method) -> None:
    """Load a method's model, and make sure that its weights are those of `weights_digest`."""
    before = method.weights_digest
    method.separator.load()
    if _weights_digest(method.separator) != before:
        raise EvaluationError(
            f"the weights in {display_name(method.separator.configuration.model_dir)} have changed while they were "
            "loaded: start again; of a model in training, evaluate a copy"
        )


def _weights_digest(separator: Separator) -> str:
    """A hash of a model's weights as they are in its folder now, whatever the format. Raises ModelError."""
    folder = Path(ModelProvider.default().get(separator.configuration.model_dir))
    weights = open_weights(folder, separator.configuration)
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(weights.names):
        array = weights.read(name)
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _track_digest(track: Track) -> str:
    """A hash of all of a track's files. Raises EvaluationError if one cannot be read."""
    sources = {**track.stems, **({MIXTURE: track.mixture} if track.mixture else {})}
    digest, of_file = hashlib.blake2b(digest_size=16), dict[Path, str]()
    try:
        for name, source in sorted(sources.items()):
            if source.path not in of_file:
                with source.path.open("rb") as file:
                    of_file[source.path] = hashlib.file_digest(file, "blake2b").hexdigest()
            digest.update(f"{name} {source.stream} {of_file[source.path]}\n".encode(errors="surrogateescape"))
    except OSError as error:
        raise EvaluationError(f"cannot read {display_name(track.path)}: {reason(error)}") from error
    return digest.hexdigest()


def _score_track(task: TrackTask, adapter: AudioAdapter | None, keep_audio: bool, progress: Progress | None) -> None:
    """Read, separate and score a track. If `progress` raises, nothing is written."""
    if not task.instruments:
        raise EvaluationError(
            f"{display_name(task.track.path)}: it has none of the stems that {task.method.name} separates"
        )
    configuration = task.method.separator.configuration
    rate, made_from = configuration.sample_rate, task.made_from()
    audio = load_track(task.track, task.instruments, rate, configuration.n_channels, adapter)
    if progress is not None:
        progress(0, len(audio.mixture))
    stems = task.method.separator.separate(audio.mixture, progress=progress)
    estimates = np.stack([stems[name] for name in task.instruments])  # (stems, samples, channels)
    stems.update(zip(task.instruments, estimates, strict=True))  # views, so that no stem is in memory twice
    targets = score(task.instruments, audio.references, estimates, rate)
    _log_silence(task, audio.references, estimates, rate)
    if keep_audio:
        for name, file in _stem_files(task.method, task.output, task.track.subset, task.track.name).items():
            with suppress(OSError):  # the writer reports it
                file.parent.mkdir(parents=True, exist_ok=True)
            encoding = Encoding(Codec.WAV, bit_depth=32)
            writer = AudioAdapter.default().create(file, rate, configuration.n_channels, encoding)
            writer.write_all([stems[name]])
    scores = TrackScores(task.source, FRAME_SECONDS, targets, made_from)
    write_whole(task.metrics_file, to_json(scores).encode(), EncodeError)


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
