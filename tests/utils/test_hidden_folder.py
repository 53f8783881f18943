"""Hidden folders of processes that are gone are removed, and no other ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from spleeter.utils.hidden_folder import HiddenFolder, remove_leftovers
from tests.utils.leftovers import RUN, leave_hidden_folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_new_hidden_and_gone_when_it_is_removed(tmp_path: Path) -> None:
    parent = tmp_path / "new" / "folder"
    first, second = HiddenFolder(parent), HiddenFolder(parent)
    assert first.path != second.path
    assert all(folder.path.name.startswith(".") and folder.path.parent == parent for folder in (first, second))
    (first.path / "file").touch()
    first.remove()
    first.remove()
    assert names_in(parent) == [second.path.name]
    (parent / "file").touch()
    second.remove()
    assert names_in(parent) == ["file"]


def test_folders_that_were_made_for_it_go_with_it_while_they_are_empty(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    HiddenFolder(tmp_path / "before" / "new" / "folder").remove()
    assert names_in(tmp_path / "before") == []


def test_where_it_cannot_be_made_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for parent in (tmp_path / "file", tmp_path / "file" / "folder", tmp_path / "new" / ("n" * 256)):
        with pytest.raises(OSError, match=r"file is in its place|Not a directory|name too long"):
            HiddenFolder(parent)
    assert names_in(tmp_path) == ["file"]


def test_a_folder_in_which_nothing_can_be_made_is_an_error_and_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    with pytest.raises(FileNotFoundError):
        HiddenFolder(Path("new"))


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    leave_hidden_folder(tmp_path)
    assert len(names_in(tmp_path)) == 1
    subprocess.run([*RUN, f"HiddenFolder(Path({str(tmp_path)!r})).remove()"], check=True)
    assert names_in(tmp_path) == []


def test_what_a_living_process_makes_stays(tmp_path: Path) -> None:
    code = f"folder = HiddenFolder(Path({str(tmp_path)!r})); print(flush=True); sys.stdin.read(); folder.remove()"
    with subprocess.Popen([*RUN, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdin is not None
        assert living.stdout is not None
        living.stdout.readline()
        before = names_in(tmp_path)
        assert len(before) == 1
        remove_leftovers(tmp_path)
        assert names_in(tmp_path) == before
        living.stdin.close()
    assert names_in(tmp_path) == []


def test_what_another_system_left_stays_for_a_day(tmp_path: Path) -> None:
    """For it may share the folder, but not the lock."""
    leave_hidden_folder(tmp_path)
    (ours,) = tmp_path.iterdir()
    prefix, _, rest = ours.name.split("-")
    other = ours.rename(tmp_path / f"{prefix}-00000000-{rest}")
    remove_leftovers(tmp_path)
    assert other.is_dir()
    for path in (*other.iterdir(), other):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    (other / "file").touch()
    remove_leftovers(tmp_path)
    assert other.is_dir()
    for path in (*other.iterdir(), other):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("content", [[], ["file"]])
def test_what_was_killed_before_it_had_a_lock_or_while_it_was_removed(content: list[str], tmp_path: Path) -> None:
    leave_hidden_folder(tmp_path)
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder)
    folder.mkdir()
    for name in content:
        (folder / name).touch()
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == []


def test_other_things_with_such_names_stay(tmp_path: Path) -> None:
    leave_hidden_folder(tmp_path)
    (folder,) = tmp_path.iterdir()
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(elsewhere)
    folder.with_name(folder.name.replace("-", "-0")).touch()
    (tmp_path / ".hidden").mkdir()
    before = names_in(tmp_path)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == before
    assert names_in(elsewhere) == ["file", "lock"]


CONTEND = """
for number in range(150):
    folder = HiddenFolder(Path({parent!r}, "out", "song"))
    (folder.path / "file").touch()
    remove_leftovers(folder.path.parent)
    (folder.path / "file").unlink()
    folder.remove()
"""


def test_processes_that_make_and_remove_the_same_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    code = CONTEND.format(parent=str(tmp_path))
    running = [subprocess.Popen([*RUN, code], stderr=subprocess.PIPE, text=True) for _ in range(6)]
    errors = [process.communicate()[1] for process in running]
    assert errors == [""] * len(running)
    assert [process.returncode for process in running] == [0] * len(running)
