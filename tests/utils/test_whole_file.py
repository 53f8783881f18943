"""A file appears whole or not at all, and then is on the disk; several appear together."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest

from spleeter.errors import EvaluationError, SpleeterError, TrainingError
from spleeter.utils.hidden_folder import HiddenFolder
from spleeter.utils.whole_file import WholeFile, commit_together, write_whole
from tests.utils.disks import disk_of, recorded_calls


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
    assert [name.startswith(".") for name in names_in(tmp_path)] == [True]
    file.discard()
    file.discard()
    assert names_in(tmp_path) == []
    write_whole(tmp_path / "a.bin", b"whole")
    assert names_in(tmp_path) == ["a.bin"]


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
        raise TrainingError("of the function")

    with pytest.raises(TrainingError, match=r"^of the function$"):
        write_whole(tmp_path / "a.bin", fail, EvaluationError)


@pytest.mark.parametrize("content", [b"content", write_bytes])
def test_a_file_is_on_the_disk_before_it_appears_and_its_name_and_folders_are_when_it_has(
    content: bytes | Callable[[Path], None], tmp_path: Path
) -> None:
    with recorded_calls(tmp_path) as calls:
        write_whole(tmp_path / "new" / "folder" / "a.bin", content)
    assert calls == [
        "fsync new/folder/HIDDEN/content",
        "replace new/folder/a.bin",
        "fsync new/folder",
        "fsync new",
        "fsync .",
    ]


def commits_of(
    paths: list[Path], failing: Path | None, error: BaseException
) -> list[tuple[Path, Callable[[], None]]]:
    """Commits of files with the content "new", of which one fails."""

    def fail() -> None:
        raise error

    commits: list[tuple[Path, Callable[[], None]]] = []
    for path in paths:
        file = WholeFile(path)
        file.write(b"new")
        file.close()
        commits.append((path, fail if path == failing else file.commit))
    return commits


@pytest.mark.parametrize("can_link", [True, False])  # FAT cannot
@pytest.mark.parametrize("failing", ["a", "b", "c", None])
@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
def test_files_that_are_committed_together_are_all_new_or_all_as_before(
    can_link: bool, failing: str | None, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_link:
        monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError(1, "Operation not permitted")))
    (tmp_path / "a").write_bytes(b"old a")
    (tmp_path / "c").write_bytes(b"old c")
    paths, hidden = [tmp_path / name for name in "abc"], HiddenFolder(tmp_path)
    commits = commits_of(paths, tmp_path / failing if failing else None, error)
    with pytest.raises(type(error)) if failing else nullcontext():
        commit_together(commits, {tmp_path: hidden})
    hidden.remove()
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert found == ({"a": b"old a", "c": b"old c"} if failing else dict.fromkeys("abc", b"new"))


def test_the_names_of_files_that_are_committed_together_are_written_to_the_disk_once(tmp_path: Path) -> None:
    hidden = HiddenFolder(tmp_path / "folder")
    commits = commits_of([tmp_path / "folder" / name for name in "abc"], None, OSError())
    with recorded_calls(tmp_path) as calls:
        commit_together(commits, {tmp_path / "folder": hidden})
    assert calls == [*(f"replace folder/{name}" for name in "abc"), "fsync folder", "fsync ."]
