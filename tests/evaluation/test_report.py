"""The tables and the plot show what lies in the folder, and medians are medians of medians."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from spleeter.evaluation.report import as_text, collect, overall, write_report
from spleeter.evaluation.scores import FRAME_METRICS, TargetScores, TrackScores, to_json
from spleeter.utils.whole_file import write_whole

SDR = {("mask", "a"): [1.0, 2.0, math.nan], ("mask", "b"): [5.0], ("mask", "c"): [math.nan], ("mwf", "a"): [7.0]}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two methods, three tracks, two stems."""
    for (method, track), values in SDR.items():
        targets = tuple(
            TargetScores(name, dict.fromkeys(FRAME_METRICS, np.array(values)), {"global SDR": 4.0, "SI-SDR": 3.0})
            for name in ("vocals", "drums")
        )
        file = tmp_path / "metrics" / method / "test" / f"{track}.json"
        write_whole(file, to_json(TrackScores("", 1.0, targets)).encode())
        write_whole(file.parents[1] / "settings.json", b"{}")
    return tmp_path


def test_the_files(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_report(collect(output, "test"), "test", output)
    assert [file.name for file in files] == ["scores-test.csv", "scores-test.md", "scores-test.png"]
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert not caplog.text
    rows = list(csv.DictReader(files[0].open(encoding="utf-8", newline="")))
    assert len(rows) == len(SDR) * 2 * (len(FRAME_METRICS) + 2)
    scores = {(row["method"], row["track"]): row["score"] for row in rows if row["metric"] == "SDR"}
    assert scores["mask", "a"] == "1.50000"
    assert scores["mask", "c"] == ""


def test_a_line_for_each_method(output: Path) -> None:
    lines = write_report(collect(output, "test"), "test", output)[1].read_text(encoding="utf-8").splitlines()
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert tables[0][:6] == ["method", "tracks", "vocals SDR", "vocals SIR", "vocals SAR", "vocals ISR"]
    assert tables[2] == ["mask", "3", *["3.25"] * 8]  # of 1.5 and 5
    assert tables[3] == ["mwf", "1", *["7.00"] * 8]
    assert tables[4][2:4] == ["vocals global SDR", "vocals SI-SDR"]
    assert tables[7] == ["mwf", "1", "4.00", "3.00", "4.00", "3.00"]
    assert tables[8] == ["track", "stem", "mask", "mwf"]
    assert tables[10] == ["a", "vocals", "1.50 / 4.00", "7.00 / 4.00"]
    assert tables[-1] == ["c", "drums", "– / 4.00", "– / –"]


def test_the_medians_are_those_of_museval(output: Path) -> None:
    import museval

    store = museval.MethodStore()
    for method in ("mask", "mwf"):
        store.add_eval_dir(output / "metrics" / method)
    theirs = store.agg_frames_tracks_scores()
    ours = overall(collect(output, "test"))
    for key in theirs.index:
        assert ours[key] == pytest.approx(theirs[key])


def test_a_small_table_for_the_terminal(output: Path) -> None:
    lines = as_text(collect(output, "test")).splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["mask", "vocals", "3.25"], ["mask", "drums", "3.25"]]
    assert max(map(len, lines)) < 80


def test_a_broken_file_is_left_out(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    (output / "metrics" / "mwf" / "test" / "a.json").write_text("{")
    assert {row.method for row in collect(output, "test")} == {"mask"}
    assert "a.json" in caplog.text


def test_without_matplotlib_all_else_is_written(
    output: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert [file.suffix for file in write_report(collect(output, "test"), "test", output)] == [".csv", ".md"]
    assert "pip install spleeter[plot]" in caplog.text


def test_nothing_evaluated_nothing_written(tmp_path: Path) -> None:
    assert write_report(collect(tmp_path, "test"), "test", tmp_path) == []
    assert not list(tmp_path.iterdir())
