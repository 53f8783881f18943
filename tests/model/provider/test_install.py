"""A folder is replaced atomically, under a lock, and only if nothing else is lost."""

import threading
from pathlib import Path

import pytest

from spleeter.errors import DownloadError, ModelError
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.install import locked, staged
from spleeter.model.provider.manifest import Manifest, file_records
from tests.model.provider.models import checkpoint_files, write_files
from tests.utils.disks import recorded_calls

OLD, NEW = checkpoint_files(seed=1), checkpoint_files(seed=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_complete_model_appears(tmp_path: Path) -> None:
    with staged(tmp_path / "2stems") as staging:
        write_files(staging, NEW)
        assert not (tmp_path / "2stems").exists()
    assert contents(tmp_path / "2stems") == NEW
    assert [file.name for file in tmp_path.iterdir()] == ["2stems"]


def test_it_is_on_the_disk_before_it_appears_and_its_name_is_when_it_has(tmp_path: Path) -> None:
    with recorded_calls(tmp_path) as calls, staged(tmp_path / "2stems") as staging:
        write_files(staging, NEW)
    assert sorted(calls[:-1]) == sorted(f"fsync {staging.name}{name}" for name in ("", *(f"/{file}" for file in NEW)))
    assert calls[-1] == "fsync ."


@pytest.mark.parametrize("before", [{}, OLD, {"checkpoint": b"torn", "._model.meta": b"", ".probe": b"OK"}])
def test_it_replaces_an_earlier_download(tmp_path: Path, before: dict[str, bytes]) -> None:
    write_files(tmp_path / "2stems", before)
    with staged(tmp_path / "2stems") as staging:
        write_files(staging, NEW)
        assert contents(tmp_path / "2stems") == before
    assert contents(tmp_path / "2stems") == NEW
    assert [file.name for file in tmp_path.iterdir()] == ["2stems"]


def test_nothing_changes_if_the_download_fails(tmp_path: Path) -> None:
    write_files(tmp_path / "2stems", OLD)
    with pytest.raises(IsADirectoryError), staged(tmp_path / "2stems") as staging:
        write_files(write_files(staging, NEW), {".": b""})
    assert contents(tmp_path / "2stems") == OLD
    assert [file.name for file in tmp_path.iterdir()] == ["2stems"]


def test_an_incomplete_model_does_not_appear(tmp_path: Path) -> None:
    with (
        pytest.raises(DownloadError, match=r"holds no usable model: .*no model\.index"),
        staged(tmp_path / "2stems") as staging,
    ):
        write_files(staging, {"checkpoint": NEW["checkpoint"]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["notes.txt", "model.ckpt-100.index", "model.safetensors"])
def test_other_files_are_never_lost(tmp_path: Path, name: str) -> None:
    before = {**OLD, name: b"precious"}
    write_files(tmp_path / "2stems", before)
    with pytest.raises(ModelError, match=name), staged(tmp_path / "2stems"):
        pytest.fail("the download must not begin")
    assert contents(tmp_path / "2stems") == before


def test_files_of_the_manifest_are_no_other_files(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mine", {**OLD, "configuration.json": b"{}"})
    Manifest(model="mine", release="v1", source="", archive_sha256="", files=file_records(folder)).write(folder)
    with staged(folder) as staging:
        write_files(staging, NEW)
    assert contents(folder) == NEW


def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "2stems").write_text("precious")
    with pytest.raises(ModelError, match="is not replaced by a download"), staged(tmp_path / "2stems"):
        pytest.fail("the download must not begin")
    assert (tmp_path / "2stems").read_text() == "precious"


def test_leftovers_of_dead_processes_are_removed_and_other_folders_are_not(tmp_path: Path) -> None:
    for name in (".2stems.new-123", ".2stems.old-9", ".2stems-16kHz.new-1", "2stems.new-1", ".2stems"):
        write_files(tmp_path / name, NEW)
    with staged(tmp_path / "2stems") as staging:
        write_files(staging, NEW)
    assert {f.name for f in tmp_path.iterdir()} == {"2stems", ".2stems-16kHz.new-1", "2stems.new-1", ".2stems"}


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    """Models may lie on another disk."""
    write_files(tmp_path / "disk" / "2stems", OLD)
    (tmp_path / "2stems").symlink_to(tmp_path / "disk" / "2stems")
    with locked(tmp_path / "2stems"), staged((tmp_path / "2stems").resolve()) as staging:
        assert (tmp_path / "disk" / ".2stems.lock").exists(), "the lock is that of the folder, not of the link"
        write_files(staging, NEW)
    assert (tmp_path / "2stems").is_symlink()
    assert contents(tmp_path / "2stems") == NEW


def test_a_lock_is_reentrant_through_another_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with locked(Path("2stems")), locked(tmp_path / "2stems"), locked(tmp_path / "sub" / ".." / "2stems"):
        pass


def test_two_threads_do_not_hold_a_lock_at_once(tmp_path: Path) -> None:
    inside, order = threading.Event(), []

    def second() -> None:
        inside.wait()
        with locked(tmp_path / "2stems"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(tmp_path / "2stems"):
        inside.set()
        thread.join(0.3)  # time to break in, if it could
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="MODEL_PATH") as caught, locked(tmp_path / "file" / "2stems"):
        pytest.fail("there is no place for a lock")
    assert str(tmp_path / "file" / "2stems") in str(caught.value)
    assert flaw(tmp_path / "file" / "2stems")
