"""A file appears whole or not at all."""

import os
from pathlib import Path

import pytest

from spleeter.errors import EncodeError
from spleeter.utils.whole_file import PartialFile
from tests.audio.conftest import DiskOf


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_seen_before_commit_and_all_of_it_after(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    file = PartialFile(path)
    file.write(b"nEw")
    file.seek(1)
    file.write(b"e")
    assert file.tell() == 2
    file.close()
    assert path.read_bytes() == b"old"
    file.commit()
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.bin"]


def test_discarding_leaves_nothing_and_late_writes_do_no_harm(tmp_path: Path) -> None:
    file = PartialFile(tmp_path / "a.bin")
    file.discard()
    file.write(b"late")
    file.seek(0)
    file.discard()
    assert names_in(tmp_path) == []


def test_the_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    file = PartialFile(tmp_path / "ours")
    file.close()
    file.commit()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_the_longest_name_works(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".wav")
    file = PartialFile(path)
    file.close()
    file.commit()
    assert path.exists()


def refused(path: Path, match: str) -> None:
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(EncodeError, match=match) as caught:
        PartialFile(path)
    assert "\n" not in str(caught.value)
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


def test_a_full_disk_is_told_by_check_and_by_close(tmp_path: Path, disk_of: DiskOf) -> None:
    for n_bytes in (2_000, 2_000_000):  # within and beyond what is buffered
        file = PartialFile(tmp_path / "a.wav")
        with disk_of(1_000):
            assert file.write(bytes(n_bytes)) == n_bytes
            with pytest.raises(EncodeError, match=r"cannot write .*a\.wav: File too large"):
                file.close()
        with pytest.raises(EncodeError, match="File too large"):
            file.check()
        file.discard()
        assert names_in(tmp_path) == []
