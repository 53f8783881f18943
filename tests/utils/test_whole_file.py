"""A file appears whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spleeter.errors import EvaluationError, SpleeterError, TrainingError
from spleeter.utils.whole_file import WholeFile, is_partial, write_whole
from tests.utils.disks import disk_of


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_seen_before_commit_and_all_of_it_after(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    file = WholeFile(path)
    file.write(b"nEw")
    file.seek(1)
    file.write(b"e")
    assert file.tell() == 2
    file.close()
    assert path.read_bytes() == b"old"
    file.commit()
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.bin"]


def test_discarding_leaves_nothing_and_may_come_at_any_time(tmp_path: Path) -> None:
    file = WholeFile(tmp_path / "a.bin")
    file.write(b"half of it")
    assert [is_partial(path) for path in tmp_path.iterdir()] == [True]
    file.discard()
    file.discard()
    assert names_in(tmp_path) == []
    write_whole(tmp_path / "a.bin", b"whole")
    assert not is_partial(tmp_path / "a.bin")


def write_bytes(path: Path) -> None:
    path.unlink()  # as libraries do that make their own file
    path.write_bytes(b"content")
    path.chmod(0o600)


@pytest.mark.parametrize("content", [b"content", write_bytes])
def test_the_file_and_its_folders_get_ordinary_permissions(
    content: bytes | Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "ordinary").mkdir()
    (tmp_path / "ordinary" / "file").touch()
    write_whole(tmp_path / "ours" / "file", content)
    assert (tmp_path / "ours" / "file").read_bytes() == b"content"
    for name in ("", "file"):
        assert (tmp_path / "ours" / name).stat().st_mode == (tmp_path / "ordinary" / name).stat().st_mode


def test_the_longest_name_works(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".wav")
    write_whole(path, b"")
    assert path.exists()


def test_what_a_writing_function_raises_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.bin", fail)
    assert names_in(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def refused(path: Path, match: str) -> None:
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(EvaluationError, match=f"^cannot write .*{match}") as caught:
        WholeFile(path, EvaluationError)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError | ValueError)
    with pytest.raises(type(caught.value.__cause__), match=match):
        WholeFile(path)
    if before is not None:
        assert sorted(path.parent.iterdir()) == before


def test_paths_that_cannot_become_files_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    refused(tmp_path / "folder", "exists and is not a file")
    refused(tmp_path / "missing" / "a.wav", "there is no folder")
    refused(tmp_path / "file" / "a.wav", "Not a directory")
    refused(tmp_path / ("n" * 256), "name too long")
    refused(tmp_path / "nul\0", "null")
    refused(Path(os.devnull), "exists and is not a file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_places_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.wav").touch(mode=0o400)
    refused(folder / "a.wav", "read-only")
    folder.chmod(0o500)
    refused(folder / "b.wav", "Permission denied")


@pytest.mark.parametrize("n_bytes", [2_000, 2_000_000])  # within and beyond what is buffered
@pytest.mark.parametrize("error", [TrainingError, EvaluationError, None])
def test_a_full_disk_is_an_error_of_the_asked_class(
    n_bytes: int, error: type[SpleeterError] | None, tmp_path: Path
) -> None:
    expected = r"cannot write .*a\.wav: File too large" if error else "File too large"
    with disk_of(1_000), pytest.raises(error or OSError, match=expected):
        write_whole(tmp_path / "a.wav", bytes(n_bytes), error)
    assert names_in(tmp_path) == []


def test_errors_of_the_package_are_not_renamed(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise TrainingError(path.name)

    with pytest.raises(TrainingError, match=r"\.spleeter-"):
        write_whole(tmp_path / "a.bin", fail, EvaluationError)
