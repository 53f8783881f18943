"""Tables and plot show the scores in the folder; medians are medians of medians."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from spleeter.evaluation.report import ScoreRow, as_text, collect_scores, median_scores, write_report
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


def test_a_report_is_a_csv_file_tables_and_a_plot(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_report(collect_scores(output, "test"), "test", output)
    assert [file.name for file in files] == ["scores-test.csv", "scores-test.md", "scores-test.png"]
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert not caplog.text
    rows = list(csv.DictReader(files[0].open(encoding="utf-8", newline="")))
    assert len(rows) == len(SDR) * 2 * (len(FRAME_METRICS) + 2)
    scores = {(row["method"], row["track"]): row["score"] for row in rows if row["metric"] == "SDR"}
    assert scores["mask", "a"] == "1.50000"
    assert scores["mask", "c"] == ""


def test_tables_have_a_line_for_each_method(output: Path) -> None:
    lines = write_report(collect_scores(output, "test"), "test", output)[1].read_text(encoding="utf-8").splitlines()
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert tables[0][:6] == ["method", "tracks", "vocals SDR", "vocals SIR", "vocals SAR", "vocals ISR"]
    assert tables[2] == ["mask", "3", *["3.25"] * 8]  # of 1.5 and 5
    assert tables[3] == ["mwf", "1", *["7.00"] * 8]
    assert tables[4][2:4] == ["vocals global SDR", "vocals SI-SDR"]
    assert tables[7] == ["mwf", "1", "4.00", "3.00", "4.00", "3.00"]
    assert tables[8] == ["track", "stem", "mask", "mwf"]
    assert tables[10] == ["a", "vocals", "1.50 / 4.00", "7.00 / 4.00"]
    assert tables[-1] == ["c", "drums", "– / 4.00", "– / –"]


def test_medians_equal_museval(output: Path) -> None:
    import museval

    store = museval.MethodStore()
    for method in ("mask", "mwf"):
        store.add_eval_dir(output / "metrics" / method)
    theirs = store.agg_frames_tracks_scores()
    ours = median_scores(collect_scores(output, "test"))
    for key in theirs.index:
        assert ours[key] == pytest.approx(theirs[key])


def test_the_table_for_a_terminal_is_aligned_plain_text(output: Path) -> None:
    lines = as_text(collect_scores(output, "test")).splitlines()
    assert lines[0].split() == ["SDR", "SIR", "SAR", "ISR", "global", "SDR", "SI-SDR"]
    assert lines[1].split() == ["mask", "vocals", *["3.25"] * 4, "4.00", "3.00"]
    assert [line.split()[:2] for line in lines[1:]] == [[m, n] for m in ("mask", "mwf") for n in ("vocals", "drums")]
    assert {len(line) for line in lines} == {len(lines[0])}  # the last column is flush right
    assert len(lines[0]) < 80


def test_names_in_the_table_are_shown_as_they_are() -> None:
    names = ["[red]a[/red]", ":smile:", "long " * 30, "曲"]
    lines = as_text([ScoreRow(name, "track", "vocals", "SDR", 1.0) for name in names]).splitlines()[1:]
    assert [line.split("  ")[0].strip() for line in lines] == [name.strip() for name in names]


def test_a_broken_file_is_skipped_with_a_warning(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    (output / "metrics" / "mwf" / "test" / "a.json").write_text("{")
    assert {row.method for row in collect_scores(output, "test")} == {"mask"}
    assert "a.json" in caplog.text


def test_without_matplotlib_all_but_the_plot_is_written(
    output: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("spleeter.plotting.png.find_spec", lambda name: None)
    assert [file.suffix for file in write_report(collect_scores(output, "test"), "test", output)] == [".csv", ".md"]
    assert "pip install 'spleeter[plot]'" in caplog.text


def test_without_scores_nothing_is_written(tmp_path: Path) -> None:
    assert write_report(collect_scores(tmp_path, "test"), "test", tmp_path) == []
    assert not list(tmp_path.iterdir())
