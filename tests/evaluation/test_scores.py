"""Scores are written in museval's format, and read back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import museval
import numpy as np
import pytest

from spleeter.errors import EvaluationError
from spleeter.evaluation.scores import (
    FRAME_METRICS,
    TargetScores,
    TrackScores,
    from_json,
    median,
    read_scores,
    to_json,
)
from spleeter.utils.whole_file import write_whole

VALUES = np.array([1.234565, -0.000004, math.nan, math.inf, -math.inf, 12.5, 1e3 / 3])


def scores() -> TrackScores:
    targets = [
        TargetScores(
            name,
            {metric: shift + factor * VALUES for factor, metric in enumerate(FRAME_METRICS, 1)},
            {"global SDR": 3.25 + shift, "SI-SDR": math.nan},
        )
        for shift, name in enumerate(("vocals", "drums"))
    ]
    return TrackScores("/songs/a", 1.0, tuple(targets))


def by_museval() -> museval.TrackStore:
    store = museval.TrackStore("a", win=1.0, hop=1.0)
    for target in scores().targets:
        store.add_target(target.name, {metric: values.tolist() for metric, values in target.frames.items()})
    return store


def test_the_json_equals_museval() -> None:
    theirs, ours = json.loads(by_museval().json), json.loads(to_json(scores()))
    np.testing.assert_equal(ours["targets"], theirs["targets"])  # NaN equals NaN here
    store = museval.TrackStore("a")
    store.scores = ours
    store.validate()


def test_reading_inverts_writing_to_five_decimals() -> None:
    again = from_json(to_json(scores()))
    assert (again.source, again.frame_seconds) == ("/songs/a", 1.0)
    for one, other in zip(again.targets, scores().targets, strict=True):
        assert one.name == other.name
        for metric in FRAME_METRICS:
            finite = np.where(np.isfinite(other.frames[metric]), other.frames[metric], np.nan)
            np.testing.assert_allclose(one.frames[metric], finite, atol=6e-6)
        assert one.whole["global SDR"] == other.whole["global SDR"]
    assert to_json(again) == to_json(scores())


def test_museval_reads_ours_and_we_read_museval(tmp_path: Path) -> None:
    write_whole(tmp_path / "mask" / "test" / "a.json", to_json(scores()).encode())
    store = museval.MethodStore()
    store.add_eval_dir(tmp_path / "mask")
    theirs = store.agg_frames_tracks_scores()
    by_museval().save(tmp_path / "museval.json")
    for target in (*scores().targets, *read_scores(tmp_path / "museval.json").targets):
        for metric in FRAME_METRICS:
            finite = target.frames[metric][np.isfinite(target.frames[metric])]
            assert theirs["mask", target.name, metric] == pytest.approx(np.median(finite), abs=6e-6)
            assert median(finite) == pytest.approx(np.median(finite))


def test_medians_ignore_nan() -> None:
    assert median([1, math.nan, 4, 2]) == 2
    assert math.isnan(median([math.nan]))
    assert math.isnan(median([]))
    target = scores().targets[0]
    assert target.summary("global SDR") == 3.25
    assert target.summary("SDR") == median(VALUES)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"targets": [{"name": "a"}]}', '{"targets": 1}'])
def test_other_files_are_rejected(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(EvaluationError, match=r"a\.json"):
        read_scores(tmp_path / "a.json")


def test_truncated_files_are_rejected(tmp_path: Path) -> None:
    whole = to_json(scores()).encode()
    for length in range(0, len(whole) - 1, 97):
        (tmp_path / "a.json").write_bytes(whole[:length])
        with pytest.raises(EvaluationError, match=r"cannot read the scores in .*a\.json"):
            read_scores(tmp_path / "a.json")
