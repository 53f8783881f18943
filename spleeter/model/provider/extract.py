"""Open an archive that may be damaged or hostile: plain files with plain names, of a sane size, or nothing."""

import gzip
import re
import tarfile
import zlib
from pathlib import Path
from shutil import copyfileobj

from spleeter.errors import DownloadError

MAX_BYTES = 4 * 2**30
MAX_MEMBERS = 100


def extract_tar(archive: Path, folder: Path) -> None:
    """Extract a .tar.gz into the empty `folder`, whose contents are of no use if this raises.

    AppleDouble files (`._*`, which macOS's tar adds) are left out.

    Raises:
        DownloadError: if the archive is damaged, or holds anything but files and folders with safe relative names,
            or one name twice, or more than MAX_MEMBERS members or MAX_BYTES.
    """
    try:
        # "r|" reads strictly forward, so that the budget counts every byte once.
        with _BudgetedGzip(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            _extract_members(tar, folder)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise DownloadError(f"archive {archive.name} is damaged: {error}") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise DownloadError(f"archive {archive.name} refused: it uses a file as a folder") from error


class _BudgetedGzip(gzip.GzipFile):
    """Gives MAX_BYTES at most: a small archive may hold a huge one."""

    _given = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._given += len(data)
        if self._given > MAX_BYTES:
            raise DownloadError(f"archive refused: it holds more than {MAX_BYTES} bytes")
        return data


def _extract_members(tar: tarfile.TarFile, folder: Path) -> None:
    seen: set[str] = set()
    for number, member in enumerate(tar, start=1):
        name = _safe_name(member)
        if number > MAX_MEMBERS:
            raise DownloadError(f"archive refused: it has more than {MAX_MEMBERS} members")
        if name.casefold() in seen:  # one and the same on disks that ignore case
            raise DownloadError(f"archive refused: it holds {member.name!r} twice")
        seen.add(name.casefold())
        _extract_member(tar, member, folder / name)


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if target.name.startswith("._"):
        return
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None, "a regular file has contents"
    with source, target.open("xb") as stream:
        copyfileobj(source, stream)


def _safe_name(member: tarfile.TarInfo) -> str:
    """The member's name, relative, with `/`; "" for the archive's root. An absolute one has an empty part."""
    parts = [part for part in member.name.split("/") if part != "."]
    if not all(re.fullmatch(r"(?!\.\.$)[\w.+ -]+", part) for part in parts):
        raise DownloadError(f"archive refused: {member.name!r} is not a safe relative name")
    if not (member.isdir() or (member.isreg() and not member.issparse())) or not (parts or member.isdir()):
        raise DownloadError(f"archive refused: {member.name!r} is neither a file nor a folder")
    return "/".join(parts)
