"""The folders in which any provider looks for a model, and the download where there is none."""

from pathlib import Path

import platformdirs
import pytest

from spleeter.errors import DownloadError, ModelError
from spleeter.model.provider import ModelProvider
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.github import GithubModelProvider
from tests.model.provider.models import checkpoint_files, write_files

FILES = checkpoint_files()


class Shelf(ModelProvider):
    """A provider in the way of the original: it downloads into the folder it is given, and knows every name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def download(self, name: str, path: str) -> None:
        self.calls.append((name, path))
        write_files(Path(path), FILES)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache; `MODEL_PATH` is not set."""
    monkeypatch.delenv("MODEL_PATH")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "spleeter" / "models"


def test_the_interface_of_the_original() -> None:
    assert ModelProvider.DEFAULT_MODEL_PATH == "pretrained_models"
    assert ModelProvider.MODEL_PROBE_PATH == ".probe"
    assert isinstance(ModelProvider.default(), GithubModelProvider)


def test_a_model_is_downloaded_once(shelf: Shelf, place: Path) -> None:
    assert shelf.get("mine") == str(place / "mine")
    assert shelf.get("mine") == str(place / "mine")
    assert shelf.calls == [("mine", str(place / "mine"))]
    assert (place / "mine" / ".probe").read_text() == "OK"


def test_an_absolute_folder_is_used_as_it_is(shelf: Shelf, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "elsewhere" / "mine", FILES)
    assert shelf.get(str(folder)) == str(folder)
    assert shelf.calls == []
    assert {file.name for file in folder.iterdir()} == set(FILES), "nothing was added"


def test_an_absolute_folder_that_is_absent_is_downloaded_into(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "mine"
    assert shelf.get(str(folder)) == str(folder)
    assert shelf.calls == [("mine", str(folder))]


@pytest.mark.parametrize("probe", [True, False])
def test_an_interrupted_download_is_repaired(shelf: Shelf, place: Path, probe: bool) -> None:
    """A folder as the original left it when it was interrupted, within the archive or before it."""
    write_files(place / "mine", {"checkpoint": FILES["checkpoint"], "model.data-00000-of-00001": b"torn"})
    if probe:
        ModelProvider.writeProbe(str(place / "mine"))
    (place / "empty").mkdir()
    for name in ("mine", "empty"):
        assert flaw(Path(shelf.get(name))) is None
    assert len(shelf.calls) == 2


def test_a_folder_with_other_files_is_left_alone(shelf: Shelf, place: Path) -> None:
    write_files(place / "mine", {"song.wav": b""})
    with pytest.raises(ModelError, match=r"no model in .*mine: it holds neither .*song\.wav"):
        shelf.get("mine")
    assert shelf.calls == []
    assert [file.name for file in place.iterdir()] == ["mine"]


def test_a_download_that_leaves_no_model_is_an_error(place: Path) -> None:
    class Empty(Shelf):
        def download(self, name: str, path: str) -> None:
            pass

    with pytest.raises(DownloadError, match="left no whole model"):
        Empty().get("mine")
    assert not (place / "mine").exists()


def test_a_download_that_failed_is_tried_again(place: Path) -> None:
    class Unlucky(Shelf):
        def download(self, name: str, path: str) -> None:
            super().download(name, path)
            if len(self.calls) == 1:
                (Path(path) / "model.index").unlink()
                raise DownloadError("no luck")

    shelf = Unlucky()
    with pytest.raises(DownloadError, match="no luck"):
        shelf.get("mine")
    assert flaw(Path(shelf.get("mine"))) is None


def test_model_path_is_read_at_each_call(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "there"):
        monkeypatch.setenv("MODEL_PATH", str(tmp_path / name))
        assert shelf.get("mine") == str(tmp_path / name / "mine")


def test_model_path_may_be_relative_and_a_model_lie_deeper(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_PATH", "pretrained_models")
    write_files(tmp_path / "pretrained_models" / "my" / "model", FILES)
    assert shelf.get("my/model") == str(Path("pretrained_models", "my", "model"))
    assert shelf.calls == []


def test_without_model_path_models_go_to_the_cache(shelf: Shelf, cache: Path) -> None:
    assert shelf.get("mine") == str(cache / "mine")


def test_models_that_the_original_downloaded_are_used(shelf: Shelf, cache: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "pretrained_models" / "mine", {**FILES, ".probe": b"OK"})
    assert shelf.get("mine") == str(Path("pretrained_models", "mine"))
    assert shelf.calls == []


def test_models_that_the_original_left_incomplete_are_not_used(shelf: Shelf, cache: Path, tmp_path: Path) -> None:
    torn = write_files(tmp_path / "pretrained_models" / "mine", {"checkpoint": FILES["checkpoint"]})
    assert shelf.get("mine") == str(cache / "mine")
    assert [file.name for file in torn.iterdir()] == ["checkpoint"], "and not touched either"


def test_the_cache_keeps_releases_and_repositories_apart(cache: Path) -> None:
    def folder(repository: str, release: str) -> Path:
        return GithubModelProvider("https://host", repository, release).locate("2stems")

    assert folder("deezer/spleeter", "v1.4.0") == cache / "v1.4.0" / "2stems"
    assert folder("Deezer/Spleeter", "v1.4.0") == cache / "v1.4.0" / "2stems"
    others = [folder("deezer/spleeter", "v1.3"), folder("me/spleeter", "v1.4.0"), folder("me", "spleeter/v1.4.0")]
    assert len({cache / "v1.4.0" / "2stems", *others}) == 4
    assert all(cache in other.parents for other in others)


@pytest.mark.parametrize("name", ["../2stems", "a/../../2stems", "..", "", "."])
def test_a_relative_name_stays_in_the_folder_of_the_models(shelf: Shelf, name: str) -> None:
    with pytest.raises(ModelError, match="absolute path"):
        shelf.get(name)
    assert shelf.calls == []


def test_a_place_that_cannot_be_written_to_is_an_error(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="set MODEL_PATH"):
        shelf.get("mine")
