"""The scores of a track: held, and written as the JSON that museval writes and reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spleeter.errors import EvaluationError
from spleeter.utils.names import display_name

FRAME_METRICS = ("SDR", "SIR", "SAR", "ISR")
"""Those of BSS Eval v4, one number a frame, in the order of the original's tables."""

TRACK_METRICS = ("global SDR", "SI-SDR")
"""One number a track; see `sdr.py`."""

_DIGITS = 5
"""Decimals that are written, as many as museval writes."""


@dataclass(frozen=True)
class TargetScores:
    """The scores of one stem, in decibels.

    Args:
        name: of the stem.
        frames: metric -> float64 (frames,); NaN where a frame is not scored.
        whole: metric -> of the whole track.
    """

    name: str
    frames: Mapping[str, npt.NDArray[np.float64]]
    whole: Mapping[str, float]

    def summary(self, metric: str) -> float:
        """The track's number for a metric: of one that has frames, their median, NaN apart; NaN if there is none."""
        return median(self.frames[metric]) if metric in self.frames else self.whole.get(metric, math.nan)


@dataclass(frozen=True)
class TrackScores:
    """The scores of a track's stems.

    Args:
        source: the path of the track that was scored.
        frame_seconds: length of a frame, and from one to the next.
        targets: one for each stem.
    """

    source: str
    frame_seconds: float
    targets: tuple[TargetScores, ...]


def median(values: npt.ArrayLike) -> float:
    """The median of all values that are not NaN; NaN if there are none."""
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    return float(np.median(array)) if len(array) else math.nan


def to_json(scores: TrackScores) -> str:
    """The text of museval's JSON file, infinity written as NaN as museval does it, with two keys more.

    `whole` has the numbers of the whole track, `source` the path of the track.
    """
    targets = [{"name": target.name, "frames": _frames(target, scores.frame_seconds)} for target in scores.targets]
    whole = [
        {"name": target.name, **{metric: _rounded(value) for metric, value in target.whole.items()}}
        for target in scores.targets
    ]
    return json.dumps({"targets": targets, "whole": whole, "source": scores.source}, indent=2)


def _frames(target: TargetScores, seconds: float) -> list[dict[str, Any]]:
    rows = zip(*(target.frames[metric] for metric in FRAME_METRICS), strict=True)
    return [
        {
            "time": number * seconds,
            "duration": seconds,
            "metrics": {metric: _rounded(value) for metric, value in zip(FRAME_METRICS, row, strict=True)},
        }
        for number, row in enumerate(rows)
    ]


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS) if math.isfinite(value) else math.nan


def from_json(text: str) -> TrackScores:
    """Undo `to_json`. What museval wrote has nothing of the whole track, and no source.

    Raises:
        EvaluationError: if it is no such text, or only its beginning.
    """
    try:
        read = json.loads(text)
        whole = {entry["name"]: _numbers(entry, TRACK_METRICS) for entry in read.get("whole", [])}
        targets = tuple(
            TargetScores(
                target["name"],
                {
                    metric: np.array([float(frame["metrics"][metric]) for frame in target["frames"]])
                    for metric in FRAME_METRICS
                },
                whole.get(target["name"], {}),
            )
            for target in read["targets"]
        )
        seconds = next((float(frame["duration"]) for target in read["targets"] for frame in target["frames"]), 1.0)
        return TrackScores(read.get("source", ""), seconds, targets)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"these are no scores of a track ({type(error).__name__}: {error})") from error


def _numbers(entry: Mapping[str, Any], metrics: tuple[str, ...]) -> dict[str, float]:
    return {metric: float(entry[metric]) for metric in metrics}


def read(path: Path) -> TrackScores:
    """Read a track's file. Raises EvaluationError if it is not there or holds something else."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, EvaluationError) as error:
        raise EvaluationError(f"cannot read the scores in {display_name(path)}: {error}") from error
