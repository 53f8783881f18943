"""The scores of a track <-> museval's JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spleeter.errors import EvaluationError
from spleeter.utils.names import display_name

__all__ = [
    "FRAME_METRICS",
    "TRACK_METRICS",
    "TargetScores",
    "TrackScores",
    "from_json",
    "median",
    "read_scores",
    "to_json",
]

FRAME_METRICS = ("SDR", "SIR", "SAR", "ISR")
"""BSS Eval v4: one value a frame, in the order of the original's tables."""

TRACK_METRICS = ("global SDR", "SI-SDR")
"""One value a track; see `sdr.py`."""

_DIGITS = 5
"""Decimals in the file, as in museval's."""


@dataclass(frozen=True)
class TargetScores:
    """The scores of one stem, in decibels.

    Attributes:
        name: the stem's name.
        frames: metric -> float64 (frames,); NaN where a frame is not scored.
        whole: metric -> value of the whole track.
    """

    name: str
    frames: Mapping[str, npt.NDArray[np.float64]]
    whole: Mapping[str, float]

    def summary(self, metric: str) -> float:
        """The track's value of a metric: the median over the frames if it has frames. NaN if there is none."""
        return median(self.frames[metric]) if metric in self.frames else self.whole.get(metric, math.nan)


@dataclass(frozen=True)
class TrackScores:
    """The scores of a track's stems.

    Attributes:
        source: path of the track.
        frame_seconds: length of a frame, and distance between the starts of frames.
        targets: the scores of each stem.
        made_from: hashes of what the scores depend on, by name; none in files of museval and of older versions.
    """

    source: str
    frame_seconds: float
    targets: tuple[TargetScores, ...]
    made_from: Mapping[str, str] = field(default_factory=dict)


def median(values: npt.ArrayLike) -> float:
    """The median of all values that are not NaN; NaN if there are none."""
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    return float(np.median(array)) if len(array) else math.nan


def to_json(scores: TrackScores) -> str:
    """The text of museval's JSON file, in which infinity is NaN, with three more keys.

    `whole` has the values of the whole track, `source` the path of the track, `made_from` hashes.
    """
    targets = [
        {"name": target.name, "frames": _frames_to_json(target, scores.frame_seconds)} for target in scores.targets
    ]
    whole = [
        {"name": target.name, **{metric: _rounded(value) for metric, value in target.whole.items()}}
        for target in scores.targets
    ]
    return json.dumps(
        {"targets": targets, "whole": whole, "source": scores.source, "made_from": dict(scores.made_from)}, indent=2
    )


def _frames_to_json(target: TargetScores, seconds: float) -> list[dict[str, Any]]:
    rows = zip(*(target.frames[metric] for metric in FRAME_METRICS), strict=True)
    return [
        {
            "time": index * seconds,
            "duration": seconds,
            "metrics": {metric: _rounded(value) for metric, value in zip(FRAME_METRICS, row, strict=True)},
        }
        for index, row in enumerate(rows)
    ]


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS) if math.isfinite(value) else math.nan


def from_json(text: str) -> TrackScores:
    """The inverse of `to_json`. Files of museval have no values of the whole track, no source and no hashes.

    Raises:
        EvaluationError: if the text is something else, or truncated.
    """
    try:
        content = json.loads(text)
        whole = {
            entry["name"]: {metric: float(entry[metric]) for metric in TRACK_METRICS}
            for entry in content.get("whole", [])
        }
        targets = tuple(
            TargetScores(
                target["name"],
                {
                    metric: np.array([float(frame["metrics"][metric]) for frame in target["frames"]])
                    for metric in FRAME_METRICS
                },
                whole.get(target["name"], {}),
            )
            for target in content["targets"]
        )
        seconds = next((float(frame["duration"]) for target in content["targets"] for frame in target["frames"]), 1.0)
        made_from = {str(name): str(digest) for name, digest in content.get("made_from", {}).items()}
        return TrackScores(content.get("source", ""), seconds, targets, made_from)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"the text is not the scores of a track ({type(error).__name__}: {error})") from error


def read_scores(path: Path) -> TrackScores:
    """Read the scores of a track.

    Raises:
        EvaluationError: if the file does not exist, or is something else.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, EvaluationError) as error:
        raise EvaluationError(f"cannot read the scores in {display_name(path)}: {error}") from error
