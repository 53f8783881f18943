"""Whole trainings on synthetic songs: their files, and that stopping and resuming changes nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file

from spleeter.configuration import Configuration
from spleeter.errors import CheckpointError, DatasetError, TrainingError
from spleeter.separator import Separator
from spleeter.training.monitoring.history import read_history
from spleeter.training.monitoring.progress import StepReport, Watcher
from spleeter.training.train import train
from tests.data.songs import configuration, write_songs


@pytest.fixture
def settings(tmp_path: Path) -> Configuration:
    """A training of six steps on three songs, validated on two."""
    return configuration(
        model_dir=str(tmp_path / "model"),
        train_csv=str(write_songs(tmp_path / "train")),
        validation_csv=str(write_songs(tmp_path / "validation", 2, first_seed=100)),
        training_cache=str(tmp_path / "cache" / "train"),
        validation_cache=str(tmp_path / "cache" / "validation"),
    )


def changed(settings: Configuration, **changes: Any) -> Configuration:
    return Configuration.load({**settings.to_dict(), **changes})


def losses(model_dir: str | Path, set_: str = "training") -> dict[int, float]:
    rows = read_history(Path(model_dir) / "training" / "history.csv")
    return {row.step: row.value for row in rows if (row.set, row.name) == (set_, "loss")}


class StopsAt(Watcher):
    def __init__(self, step: int) -> None:
        self._step, self._reached = step, 0

    def step(self, report: StepReport) -> None:
        self._reached = report.step

    def wants_stop(self) -> bool:
        return self._reached >= self._step


def assert_same_state(first: Path, second: Path) -> None:
    one, other = (load_file(folder / "training" / "state.safetensors") for folder in (first, second))
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(tensor, other[key], rtol=0, atol=0, msg=key)


def test_a_trained_model_separates(settings: Configuration, tmp_path: Path) -> None:
    outcome = train(settings, device="cpu")
    assert outcome.is_done
    assert outcome.record.step == 6
    song, _ = soundfile.read(tmp_path / "train" / "song0" / "vocals.wav", dtype="float32")
    stems = Separator(str(outcome.model_dir), device="cpu").separate(song)
    assert stems.keys() == {"vocals", "accompaniment"}
    assert sum(stem.std() for stem in stems.values()) > 0


def test_a_network_of_one_channel_is_trained_on_stereo_songs_and_separates(settings: Configuration) -> None:
    outcome = train(changed(settings, n_channels=1), device="cpu")
    assert outcome.is_done
    mono = np.sin(np.arange(8000, dtype=np.float32))[:, None]
    stems = Separator(str(outcome.model_dir), device="cpu").separate(mono)
    assert {name: stem.shape for name, stem in stems.items()} == {"vocals": (8000, 1), "accompaniment": (8000, 1)}


def test_losses_are_written_and_the_best_model_is_kept(settings: Configuration) -> None:
    outcome = train(settings, device="cpu")
    assert list(losses(outcome.model_dir)) == [1, 2, 3, 4, 5, 6]
    validations = losses(outcome.model_dir, "validation")
    assert list(validations) == [3, 6]
    best = min(validations, key=validations.__getitem__)
    assert (outcome.record.best_step, outcome.record.best_loss) == (best, validations[best])
    names = {row.name for row in read_history(outcome.model_dir / "training" / "history.csv")}
    assert names == {"loss", "loss/vocals", "loss/accompaniment", "steps_per_second", "data_wait"}


def test_a_worse_model_does_not_replace_the_best(settings: Configuration) -> None:
    outcome = train(changed(settings, train_max_steps=3), device="cpu")
    before = (outcome.model_dir / "model.safetensors").read_bytes()
    worse = train(changed(settings, learning_rate=10.0), device="cpu")
    assert worse.record.best_step == 3
    assert (outcome.model_dir / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "Adadelta", "augmentation": {"remix": 0.5, "gain_db": 3, "pitch_semitones": 1}},
        {
            "model": {
                "type": "unet.softmax_unet",
                "params": {"conv_n_filters": [2, 2, 3, 3, 4, 4], "dropout": 0.5, "batch_statistics": True},
            }
        },
        {"model": {"type": "unet.unet", "params": {"conv_n_filters": [16] * 6}}},
    ],
    ids=["Adam", "Adadelta and augmentation", "dropout and batch statistics", "channels in sixteens"],
)
@pytest.mark.parametrize("step", [2, 3])
def test_stopped_and_resumed_equals_never_stopped(
    settings: Configuration, tmp_path: Path, changes: dict[str, Any], step: int
) -> None:
    uninterrupted = train(changed(settings, model_dir=str(tmp_path / "uninterrupted"), **changes), device="cpu")
    interrupted = changed(settings, model_dir=str(tmp_path / "interrupted"), **changes)
    stopped = train(interrupted, device="cpu", watcher=StopsAt(step))
    assert not stopped.is_done
    assert stopped.record.step == step
    resumed = train(interrupted, device="cpu")
    assert resumed.is_done
    assert_same_state(uninterrupted.model_dir, resumed.model_dir)
    assert losses(uninterrupted.model_dir) == losses(resumed.model_dir)


class StopsWhileValidating(Watcher):
    """Stops in the middle of the validation after a step."""

    def __init__(self, step: int) -> None:
        self._step, self._asked = step, 0

    def step(self, report: StepReport) -> None:
        self._asked = 1 if report.step == self._step else 0

    def wants_stop(self) -> bool:
        self._asked += self._asked > 0
        return self._asked > 2  # the first time is after the step


@pytest.mark.parametrize("step", [3, 6])
@pytest.mark.parametrize("stops", [StopsAt, StopsWhileValidating])
def test_a_validation_that_was_stopped_is_made_on_resuming(
    settings: Configuration, tmp_path: Path, stops: type[Watcher], step: int
) -> None:
    uninterrupted = train(changed(settings, model_dir=str(tmp_path / "uninterrupted")), device="cpu")
    interrupted = changed(settings, model_dir=str(tmp_path / "interrupted"))
    stopped = train(interrupted, device="cpu", watcher=stops(step))  # type: ignore[call-arg]
    assert not stopped.is_done
    resumed = train(interrupted, device="cpu")
    assert resumed.record == uninterrupted.record
    assert losses(resumed.model_dir, "validation") == losses(uninterrupted.model_dir, "validation")
    models = [(outcome.model_dir / "model.safetensors").read_bytes() for outcome in (uninterrupted, resumed)]
    assert models[0] == models[1]


def test_fine_tuning_is_resumed_with_the_same_arguments(settings: Configuration, tmp_path: Path) -> None:
    source = str(train(settings, device="cpu").model_dir)
    tuned = changed(settings, model_dir=str(tmp_path / "tuned"))
    train(tuned, device="cpu", start_from=source, watcher=StopsAt(2))
    assert train(tuned, device="cpu", start_from=source).record.step == 6
    with pytest.raises(TrainingError, match="holds a training already"):
        train(tuned, device="cpu", start_from="spleeter:2stems")


def test_a_training_is_resumed_in_another_precision(settings: Configuration) -> None:
    train(settings, device="cpu", watcher=StopsAt(2))
    assert train(settings, device="cpu", precision="bfloat16").is_done


def test_an_instrument_may_be_called_loss(settings: Configuration, tmp_path: Path) -> None:
    csv = Path(str(settings.train_csv))
    csv.write_text(csv.read_text().replace("accompaniment_path", "loss_path"))
    odd = changed(settings, instrument_list=["vocals", "loss"], validation_csv=None, train_max_steps=1)
    rows = read_history(train(odd, device="cpu").model_dir / "training" / "history.csv")
    values = {row.name: row.value for row in rows}
    assert values["loss"] == pytest.approx(values["loss/vocals"] + values["loss/loss"])


def test_short_songs_are_trained_and_validated_on_too(settings: Configuration, tmp_path: Path) -> None:
    for name in ("vocals", "accompaniment"):
        path = tmp_path / "train" / "song0" / f"{name}.wav"
        sound, _ = soundfile.read(path)
        soundfile.write(path, sound[:4800], 8000, subtype="PCM_16")
    csv = Path(str(settings.train_csv))
    csv.write_text(csv.read_text().replace("4.0", "0.6", 1))
    short = changed(settings, validation_chunks_per_song=2, augmentation={"time_stretch": 0.5})
    assert train(short, device="cpu").is_done


def test_a_stopped_training_leaves_a_usable_model(settings: Configuration) -> None:
    outcome = train(settings, device="cpu", watcher=StopsAt(1))
    stems = Separator(str(outcome.model_dir), device="cpu").separate(np.zeros((4000, 2), np.float32))
    assert {name: stem.shape for name, stem in stems.items()} == {"vocals": (4000, 2), "accompaniment": (4000, 2)}


def test_a_finished_training_is_not_changed(settings: Configuration) -> None:
    outcome = train(settings, device="cpu")
    state = (outcome.model_dir / "training" / "state.safetensors").stat().st_mtime_ns
    again = train(settings, device="cpu")
    assert again.is_done
    assert (outcome.model_dir / "training" / "state.safetensors").stat().st_mtime_ns == state


def test_a_model_is_written_that_a_kill_kept_from_following_its_state(settings: Configuration) -> None:
    without_validation = changed(settings, validation_csv=None)
    model = train(without_validation, device="cpu").model_dir / "model.safetensors"
    weights = model.read_bytes()
    model.unlink()
    assert train(without_validation, device="cpu").is_done
    assert model.read_bytes() == weights


def test_a_training_is_not_resumed_with_another_optimizer(settings: Configuration) -> None:
    train(settings, device="cpu")
    with pytest.raises(TrainingError, match=r"has optimizer = Adam, but SGD is asked for"):
        train(changed(settings, optimizer="SGD"), device="cpu")


@pytest.mark.parametrize(
    "foreign",
    [
        {"network.networks.0.head.weight": np.zeros((1, 2), np.float32)},
        {"optimizer.0.exp_avg": np.zeros(7, np.float32)},
        {"optimizer.999999.exp_avg": np.zeros((), np.float32)},
        {"optimizer.0.other": np.zeros((), np.float32)},
        {"more": np.zeros(7, np.float32)},
    ],
)
def test_tensors_of_a_state_that_do_not_fit_are_not_read(
    foreign: dict[str, np.ndarray], settings: Configuration
) -> None:
    file = train(settings, device="cpu").model_dir / "training" / "state.safetensors"
    with safe_open(file, framework="np") as stored:
        notes, tensors = stored.metadata(), {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    save_file({**tensors, **foreign}, file, notes)
    (name,) = foreign
    with pytest.raises(CheckpointError, match=f"damaged or cannot be read .*{name}") as caught:
        train(changed(settings, train_max_steps=8), device="cpu")
    assert "\n" not in str(caught.value)


def test_training_without_caches_and_validation(settings: Configuration) -> None:
    plain = changed(settings, training_cache=None, validation_cache=None, validation_csv=None)
    outcome = train(plain, device="cpu")
    assert outcome.record.best_loss is None
    assert (outcome.model_dir / "model.safetensors").exists()
    assert losses(outcome.model_dir).keys() == {1, 2, 3, 4, 5, 6}


def test_fine_tuning_starts_from_a_models_weights(settings: Configuration, tmp_path: Path) -> None:
    first = train(settings, device="cpu")
    tuned = changed(settings, model_dir=str(tmp_path / "tuned"), learning_rate=1e-12, train_max_steps=1)
    outcome = train(tuned, device="cpu", start_from=str(first.model_dir))
    before, after = (load_file(folder / "model.safetensors") for folder in (first.model_dir, outcome.model_dir))
    assert all(torch.allclose(weight, after[key], atol=1e-9) for key, weight in before.items())


def test_a_fine_tuning_that_only_makes_it_worse_keeps_the_model_it_started_from(
    settings: Configuration, tmp_path: Path
) -> None:
    first = train(settings, device="cpu")
    worse = changed(settings, model_dir=str(tmp_path / "worse"), learning_rate=0.5)
    outcome = train(worse, device="cpu", start_from=str(first.model_dir))
    assert list(losses(outcome.model_dir, "validation")) == [0, 3, 6]
    assert outcome.record.best_step == 0
    before, after = (load_file(folder / "model.safetensors") for folder in (first.model_dir, outcome.model_dir))
    for key, weight in before.items():
        torch.testing.assert_close(after[key], weight, rtol=0, atol=0, msg=key)


def test_a_stop_before_the_first_step_of_a_fine_tuning_is_saved_and_resumed(
    settings: Configuration, tmp_path: Path
) -> None:
    source = str(train(settings, device="cpu").model_dir)
    uninterrupted = changed(settings, model_dir=str(tmp_path / "uninterrupted"))
    interrupted = changed(settings, model_dir=str(tmp_path / "interrupted"))
    train(uninterrupted, device="cpu", start_from=source)
    stopped = train(interrupted, device="cpu", start_from=source, watcher=StopsAt(0))
    assert (stopped.is_done, stopped.record.step, stopped.record.best_loss) == (False, 0, None)
    resumed = train(interrupted, device="cpu", start_from=source)
    assert_same_state(Path(uninterrupted.model_dir), resumed.model_dir)
    assert resumed.record.best_loss is not None
    assert losses(resumed.model_dir, "validation") == losses(uninterrupted.model_dir, "validation")


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_training_beyond_its_last_step_says_so_and_is_done(
    settings: Configuration, n_steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    train(settings, device="cpu", watcher=StopsAt(4))
    outcome = train(changed(settings, train_max_steps=n_steps), device="cpu")
    assert f"at step 4 already, beyond train_max_steps = {n_steps}: no step is taken" in caplog.text
    assert (outcome.is_done, outcome.record.step) == (True, 4)
    assert train(settings, device="cpu").record.step == 6


def test_all_problems_of_songs_are_reported_before_the_first_step(
    settings: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train" / "song0" / "vocals.wav").unlink()
    (tmp_path / "train" / "song1" / "vocals.wav").write_bytes(b"not audio")
    with pytest.raises(DatasetError, match="2 problems, listed above"):
        train(settings, device="cpu")
    assert "songs.csv, line 2 (song0): vocals_path: there is no file" in caplog.text
    assert "songs.csv, line 3 (song1): vocals:" in caplog.text
    assert not (tmp_path / "model").exists()
    outcome = train(settings, device="cpu", skip_bad=True)
    assert outcome.is_done


def test_a_song_to_validate_on_is_not_trained_on(
    settings: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (tmp_path / "train" / "songs.csv").read_text().splitlines()
    (tmp_path / "train" / "two.csv").write_text("\n".join(lines[:3]))
    with pytest.raises(DatasetError, match="2 problems, listed above"):
        train(changed(settings, validation_csv=str(tmp_path / "train" / "two.csv")), device="cpu")
    assert caplog.text.count("a song to validate on must not be trained on") == 2


def test_the_training_songs_may_be_validated_on_as_a_whole(
    settings: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    assert train(changed(settings, validation_csv=settings.train_csv), device="cpu").is_done
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("training and validation songs: they are the same")


def test_two_trainings_do_not_share_a_folder(settings: Configuration) -> None:
    class Second(Watcher):
        def step(self, report: StepReport) -> None:
            with pytest.raises(TrainingError, match="another training is using"):
                train(settings, device="cpu")

    assert train(changed(settings, train_max_steps=1), device="cpu", watcher=Second()).is_done


# As processes of their own.

_RUN = "import sys; from tests.training.test_train import run; run(*sys.argv[1:])"


def run(path: str, *options: str) -> None:
    """Train, as the subprocesses of these tests do."""
    torch.set_num_threads(1)
    train(Configuration.load(path), device="cpu")


def process(settings: Configuration, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    path = tmp_path / f"{Path(settings.model_dir).name}.json"
    path.write_text(settings.to_json())
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(path)],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        text=True,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_joint_batch(settings: Configuration, tmp_path: Path) -> None:
    alone = changed(settings, model_dir=str(tmp_path / "alone"), optimizer="SGD", learning_rate=0.1)
    together = changed(alone, model_dir=str(tmp_path / "together"))
    train(alone, device="cpu")
    path = tmp_path / "together.json"
    path.write_text(together.to_json())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "spleeter", "train", "-p", str(path), "--device", "cpu"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("trained for 6 steps") == 1, "one process reports"
    for set_ in ("training", "validation"):
        expected, found = losses(tmp_path / "alone", set_), losses(tmp_path / "together", set_)
        assert expected.keys() == found.keys()
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-5)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "together"))
    for key, weight in one.items():
        torch.testing.assert_close(other[key], weight, rtol=1e-3, atol=1e-5, msg=key)


@pytest.mark.slow
def test_a_killed_training_is_resumed_from_its_last_save(settings: Configuration, tmp_path: Path) -> None:
    long = changed(settings, train_max_steps=100_000, save_checkpoints_steps=2, validation_csv=None)
    killed = process(long, tmp_path)
    state = tmp_path / "model" / "training" / "state.safetensors"
    deadline = time.monotonic() + 100
    while not state.exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)  # well into the steps after
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    outcome = train(long, device="cpu", watcher=StopsAt(0))
    steps = list(losses(outcome.model_dir))
    assert steps == list(range(1, outcome.record.step + 1))
    assert outcome.record.step > 2
