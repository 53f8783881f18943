"""The data set of a configuration: which songs are trained and validated on, and where their excerpts are kept."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spleeter.configuration import Configuration
from spleeter.data.dataset import open_dataset
from spleeter.errors import DatasetError
from tests.data.songs import configuration, write_songs


@pytest.fixture
def settings(tmp_path: Path) -> Configuration:
    """Three songs to train on and two to validate on, of two excerpts and one."""
    return configuration(
        train_csv=str(write_songs(tmp_path / "train")),
        validation_csv=str(write_songs(tmp_path / "validation", 2, first_seed=100)),
        training_cache=str(tmp_path / "cache" / "train"),
        validation_cache=str(tmp_path / "cache" / "validation"),
    )


def changed(settings: Configuration, **changes: Any) -> Configuration:
    return Configuration.load({**settings.to_dict(), **changes})


def test_each_song_gives_as_many_excerpts_as_configured(settings: Configuration) -> None:
    calls: list[tuple[str, int, int]] = []
    with open_dataset(settings, progress=lambda *call: calls.append(call)) as data_set:
        assert len(data_set.training) == 3 * 2
        assert data_set.validation is not None
        assert len(data_set.validation) == 2
    assert ("training songs", 3, 3) in calls
    assert calls[-1] == ("validation songs", 2, 2)


def test_without_caches_excerpts_are_gone_at_the_end(
    settings: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    plain = changed(settings, training_cache=None, validation_cache=None, validation_csv=None)
    with open_dataset(plain) as data_set:
        assert data_set.validation is None
        assert len(list((tmp_path / "temporary").rglob("*.npy"))) == 3
    assert not list((tmp_path / "temporary").iterdir())


_WITHOUT_CACHES = """
import sys, tempfile
from spleeter.data.dataset import open_dataset
from tests.data.songs import configuration

tempfile.tempdir = sys.argv[2]
with open_dataset(configuration(train_csv=sys.argv[1])):
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_the_excerpts_of_a_killed_process_without_caches_are_removed_by_the_next(
    settings: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-c", _WITHOUT_CACHES, str(settings.train_csv), str(tmp_path / "temporary")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        process.kill()
    assert list((tmp_path / "temporary").rglob("*.npy"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with open_dataset(changed(settings, training_cache=None, validation_csv=None)):
        pass
    assert not list((tmp_path / "temporary").iterdir())


def test_songs_with_errors_are_left_out_on_request_and_those_with_warnings_are_not(
    settings: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "train" / "song0" / "vocals.wav").unlink()
    soundfile.write(tmp_path / "train" / "song1" / "vocals.wav", np.zeros((32000, 2)), 8000)
    with pytest.raises(DatasetError, match="1 problem, listed above"), open_dataset(settings):
        pass
    with open_dataset(settings, skip_bad=True) as data_set:
        assert len(data_set.training) == 2 * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_csv": None}, "has no train_csv"),
        ({"validation_cache": "same", "training_cache": "./same"}, "are the same folder: give each its own"),
        ({"chunk_duration": 0.1}, "too short for a segment"),
    ],
)
def test_a_configuration_without_a_usable_data_set_is_refused(
    settings: Configuration, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=message), open_dataset(changed(settings, **changes)):
        pass


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_a_usable_song_is_refused(settings: Configuration, tmp_path: Path, split: str) -> None:
    for path in (tmp_path / split).rglob("vocals.wav"):
        path.unlink()
    with (
        pytest.raises(DatasetError, match=f"{split}/songs.csv: no song is left"),
        open_dataset(settings, skip_bad=True),
    ):
        pass


def test_several_processes_need_caches_to_share(settings: Configuration) -> None:
    unshared = changed(settings, validation_cache=None)
    with (
        pytest.raises(DatasetError, match="set training_cache and validation_cache"),
        open_dataset(unshared, n_processes=2),
    ):
        pass
