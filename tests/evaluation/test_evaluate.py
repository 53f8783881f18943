"""Evaluation as a whole: the files that are written, resuming, and failures of single tracks."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import museval
import numpy as np
import pytest
import soundfile
import torch

from spleeter.backends.torch.weights import save_network
from spleeter.configuration import Configuration
from spleeter.data.tracks import Track, find_tracks
from spleeter.errors import EvaluationError
from spleeter.evaluation.evaluate import Method, evaluate, plan_tracks, score_tracks
from spleeter.evaluation.scores import FRAME_METRICS, read_scores
from spleeter.model.functions import build
from spleeter.separator import Progress, Separator
from tests.conftest import TINY
from tests.evaluation.conftest import NAMES, RATE, sixteen_bits, synthetic, write_track

STEMS = sixteen_bits(0.1 * synthetic(4, 3 * RATE)[0])


@pytest.fixture(scope="module")
def mask(tiny_model: Path) -> Method:
    return Method("mask", Separator(tiny_model, device="cpu"))


@pytest.fixture
def tracks(tmp_path: Path) -> list[Track]:
    for number in range(2):
        write_track(tmp_path / "songs" / f"song {number}", np.roll(STEMS, number, axis=0))
    return find_tracks(tmp_path / "songs")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_scores_are_those_of_the_stems_that_are_written(tracks: list[Track], mask: Method, out: Path) -> None:
    assert evaluate(tracks[:1], [mask], out) == []
    names = mask.separator.instruments
    assert files(out) == {
        "metrics/mask/settings.json",
        "metrics/mask/test/song 0.json",
        *(f"audio/mask/test/song 0/{name}.wav" for name in names),
    }
    audio = out / "audio" / "mask" / "test" / "song 0"
    estimates = np.stack([soundfile.read(audio / f"{name}.wav", dtype="float32")[0] for name in names])
    references = np.stack([STEMS[NAMES.index(name)] for name in names])
    theirs = museval.evaluate(references, estimates.astype(np.float64))
    scores = read_scores(out / "metrics" / "mask" / "test" / "song 0.json")
    for index, target in enumerate(scores.targets):
        assert target.name == names[index]
        for metric, expected in zip(("SDR", "ISR", "SIR", "SAR"), theirs, strict=True):
            np.testing.assert_allclose(target.frames[metric], expected[index], atol=1e-4)
    error = ((references[0] - estimates[0]) ** 2).sum()
    assert scores.targets[0].whole["global SDR"] == pytest.approx(
        10 * np.log10((references[0] ** 2).sum() / error), abs=1e-4
    )


def test_complete_scores_are_kept_and_truncated_ones_are_made_again(
    tracks: list[Track], mask: Method, out: Path
) -> None:
    evaluate(tracks, [mask], out, keep_audio=False)
    assert not (out / "audio").exists()
    assert plan_tracks(tracks, [mask], out) == []
    broken = out / "metrics" / "mask" / "test" / "song 1.json"
    whole = broken.read_text()
    broken.write_text(whole[: len(whole) // 2])
    assert [task.track.name for task in plan_tracks(tracks, [mask], out)] == ["song 1"]
    evaluate(tracks, [mask], out, keep_audio=False)
    assert broken.read_text() == whole


def test_a_track_of_the_same_name_in_another_folder_is_scored(
    tracks: list[Track], mask: Method, out: Path, tmp_path: Path
) -> None:
    evaluate(tracks[:1], [mask], out, keep_audio=False)
    write_track(tmp_path / "elsewhere" / "song 0", STEMS)
    assert len(plan_tracks(find_tracks(tmp_path / "elsewhere"), [mask], out)) == 1


def test_scores_of_different_configurations_are_not_mixed(
    tracks: list[Track], mask: Method, out: Path, tiny_model: Path
) -> None:
    evaluate(tracks[:1], [mask], out, keep_audio=False)
    with_mwf = Configuration.load({**Configuration.load(tiny_model).to_dict(), "MWF": True})
    with pytest.raises(EvaluationError, match=r"choose another name \(--method\) or another output folder"):
        plan_tracks(tracks, [Method("mask", Separator(with_mwf, device="cpu"))], out)
    assert evaluate(tracks[:1], [Method("mwf", Separator(with_mwf, device="cpu"))], out, keep_audio=False) == []


def test_scores_of_different_precisions_are_not_mixed(
    tracks: list[Track], mask: Method, out: Path, tiny_model: Path
) -> None:
    plan_tracks(tracks, [mask], out)
    half = Separator(tiny_model, device="cpu", precision="bfloat16")
    with pytest.raises(EvaluationError, match="made with other settings"):
        plan_tracks(tracks, [Method("mask", half)], out)


def trained_on(model: Path, folder: Path, seed: int) -> Path:
    """A copy of a model with other weights, written at the same time and of the same size."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    before = (folder / "model.safetensors").stat()
    configuration = Configuration.load(folder)
    torch.manual_seed(seed)
    save_network(folder, build(configuration), configuration)
    os.utime(folder / "model.safetensors", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "model.safetensors").stat().st_size == before.st_size
    return folder


def test_scores_of_other_weights_are_removed_and_made_again(
    tracks: list[Track], tiny_model: Path, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = trained_on(tiny_model, tmp_path / "model", seed=1)
    evaluate(tracks, [Method("model", Separator(model, device="cpu"))], out)
    before = read_scores(out / "metrics" / "model" / "test" / "song 0.json")
    again = Method("model", Separator(model, device="cpu"))
    assert plan_tracks(tracks, [again], out) == []

    trained_on(tiny_model, model, seed=2)
    trained = Method("model", Separator(model, device="cpu"))
    with caplog.at_level(logging.INFO, "spleeter"):
        tasks = plan_tracks(tracks[:1], [trained], out)
    assert [task.track.name for task in tasks] == ["song 0"]
    assert "removed scores of 2 tracks, which are not of these weights and files" in caplog.text
    assert files(out) == {"metrics/model/settings.json"}, "no table mixes the scores of two models"
    assert score_tracks(tasks, keep_audio=False) == []
    after = read_scores(out / "metrics" / "model" / "test" / "song 0.json")
    assert after.targets[0].whole != before.targets[0].whole


def test_scores_of_a_track_whose_files_have_changed_are_made_again(
    tracks: list[Track], mask: Method, out: Path
) -> None:
    evaluate(tracks, [mask], out, keep_audio=False)
    path = tracks[0].path / "drums.wav"
    before = path.stat()
    soundfile.write(path, np.zeros_like(STEMS[0]), RATE)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [task.track.name for task in plan_tracks(tracks, [mask], out)] == ["song 0"]


def test_scores_of_older_versions_are_made_again(
    tracks: list[Track], mask: Method, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate(tracks, [mask], out, keep_audio=False)
    for path in (out / "metrics" / "mask" / "test").iterdir():
        old = {key: value for key, value in json.loads(path.read_text()).items() if key != "made_from"}
        path.write_text(json.dumps(old))
    settings = out / "metrics" / "mask" / "settings.json"
    settings.write_text(json.dumps({k: v for k, v in json.loads(settings.read_text()).items() if k != "exact"}))
    with caplog.at_level(logging.INFO, "spleeter"):
        assert len(plan_tracks(tracks, [mask], out)) == 2
    assert "removed scores of 2 tracks" in caplog.text


def test_scores_outlive_a_change_of_the_trainings_keys_alone(tracks: list[Track], mask: Method, out: Path) -> None:
    evaluate(tracks, [mask], out, keep_audio=False)
    keys = {**mask.separator.configuration.to_dict(), "train_max_steps": 7, "learning_rate": 0.5}
    longer = Method("mask", Separator(Configuration.load(keys), device="cpu"))
    assert plan_tracks(tracks, [longer], out) == []


def test_weights_that_change_while_they_are_loaded_are_not_scored(
    tracks: list[Track], tiny_model: Path, out: Path, tmp_path: Path
) -> None:
    model = trained_on(tiny_model, tmp_path / "model", seed=1)
    method = Method("model", Separator(model, device="cpu"))
    assert method.weights_digest
    trained_on(tiny_model, model, seed=2)
    with pytest.raises(EvaluationError, match="have changed while they were loaded"):
        evaluate(tracks, [method], out)


def test_exact_scores_are_not_mixed_with_others(
    tracks: list[Track], mask: Method, out: Path, tiny_model: Path
) -> None:
    plan_tracks(tracks, [mask], out)
    with pytest.raises(EvaluationError, match="made with other settings"):
        plan_tracks(tracks, [Method("mask", Separator(tiny_model, device="cpu", exact=True))], out)


def test_settings_that_a_power_loss_left_empty_are_written_again(
    tracks: list[Track], mask: Method, out: Path
) -> None:
    evaluate(tracks, [mask], out, keep_audio=False)
    settings = out / "metrics" / "mask" / "settings.json"
    whole = settings.read_text()
    settings.write_text("")
    assert plan_tracks(tracks, [mask], out) == []
    assert settings.read_text() == whole


def test_mono_models_and_mono_tracks_are_scored(tmp_path: Path, out: Path) -> None:
    configuration = Configuration.load({**TINY, "n_channels": 1, "model_dir": str(tmp_path / "mono")})
    save_network(tmp_path / "mono", build(configuration), configuration)
    write_track(tmp_path / "songs" / "song", STEMS[:, :, 0])
    method = Method("mono", Separator(tmp_path / "mono", device="cpu"))
    assert evaluate(find_tracks(tmp_path / "songs"), [method], out) == []
    estimate, _ = soundfile.read(out / "audio" / "mono" / "test" / "song" / "vocals.wav")
    assert estimate.shape == (3 * RATE,)
    scores = read_scores(out / "metrics" / "mono" / "test" / "song.json")
    assert np.isfinite(scores.targets[0].frames["SDR"]).all()


def test_unreadable_settings_are_reported(tracks: list[Track], mask: Method, out: Path) -> None:
    (out / "metrics" / "mask" / "settings.json").mkdir(parents=True)
    with pytest.raises(EvaluationError, match=r"cannot read .*settings\.json"):
        plan_tracks(tracks, [mask], out)


def test_a_broken_track_fails_alone(
    tracks: list[Track], mask: Method, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tracks[0].path / "drums.wav").write_bytes(b"no sound")
    (failure,) = evaluate(tracks, [mask], out, keep_audio=False)
    assert failure.task.track.name == "song 0"
    assert "song 0" in failure.reason
    assert caplog.messages == [failure.reason]
    assert files(out) == {"metrics/mask/settings.json", "metrics/mask/test/song 1.json"}


def test_instruments_that_tracks_lack_are_logged_and_not_scored(
    mask: Method, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_track(tmp_path / "songs" / "song 0", STEMS[[0, 3]], ("vocals", "other"))
    write_track(tmp_path / "songs" / "song 1", STEMS)
    assert evaluate(find_tracks(tmp_path / "songs"), [mask], out, keep_audio=False) == []
    assert caplog.messages == ["drums is not scored on 1 of 2 tracks: they have no such stem"]
    assert [t.name for t in read_scores(out / "metrics" / "mask" / "test" / "song 0.json").targets] == [
        "vocals",
        "other",
    ]


def test_tracks_without_any_of_the_stems_are_rejected(mask: Method, out: Path, tmp_path: Path) -> None:
    write_track(tmp_path / "songs" / "song", STEMS, ("guitar", "flute", "mixture"))
    with pytest.raises(EvaluationError, match="no track has any of these stems"):
        plan_tracks(find_tracks(tmp_path / "songs"), [mask], out)


def test_silent_frames_are_logged_and_not_scored(
    mask: Method, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stems = STEMS.copy()
    stems[1, RATE : 2 * RATE] = 0
    write_track(tmp_path / "songs" / "song", stems)
    with caplog.at_level(logging.INFO, "spleeter"):
        evaluate(find_tracks(tmp_path / "songs"), [mask], out, keep_audio=False)
    assert "song: silent at times: drums; museval's rule leaves 1 of 3 frames unscored" in caplog.messages
    for target in read_scores(out / "metrics" / "mask" / "test" / "song.json").targets:
        for metric in FRAME_METRICS:
            np.testing.assert_array_equal(np.isnan(target.frames[metric]), [False, True, False])


def test_an_interruption_leaves_complete_files(tracks: list[Track], mask: Method, out: Path) -> None:
    @contextmanager
    def open_progress(name: str) -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_tracks(plan_tracks(tracks, [mask], out), keep_audio=False, open_progress=open_progress)
    assert files(out) == {"metrics/mask/settings.json", "metrics/mask/test/song 0.json"}
    assert [task.track.name for task in plan_tracks(tracks, [mask], out)] == ["song 1"]


@pytest.mark.parametrize("share", [0, 1])
def test_an_interruption_before_separating_or_scoring_leaves_nothing_of_the_track(
    tracks: list[Track], mask: Method, out: Path, share: int
) -> None:
    @contextmanager
    def open_progress(name: str) -> Iterator[Progress]:
        def progress(done: int, total: int | None) -> None:
            if done == share * len(STEMS[0]):
                raise KeyboardInterrupt

        yield progress

    with pytest.raises(KeyboardInterrupt):
        score_tracks(plan_tracks(tracks, [mask], out), open_progress=open_progress)
    assert files(out) == {"metrics/mask/settings.json"}
