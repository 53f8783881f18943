"""Extract an archive that may be damaged or malicious: plain files with plain names, within size limits."""

import gzip
import re
import tarfile
import zlib
from pathlib import Path
from typing import Any

from spleeter.errors import DownloadError

__all__ = ["MAX_BYTES", "MAX_MEMBERS", "extract_tar"]

MAX_BYTES = 2 * 2**30
"""Of all files together; the largest released model has 200 MB."""

MAX_MEMBERS = 100

_MAX_HEADERS = 2**20
"""Bytes of the headers of one member. A header can claim any size, and tarfile reads it into memory."""

_PLAIN_NAME = re.compile(r"(?!\.\.$)[\w.+ -]+")

# Python 3.11.0 to 3.11.3 have no filters; there the checks of names and kinds below are all there is.
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def extract_tar(archive: Path, folder: Path) -> None:
    """Extract a .tar.gz into the empty `folder`, whose contents are of no use if this raises.

    If all of it is in one folder, that folder is left out. Sizes are checked as they are declared, before anything
    is written. tarfile's `data` filter keeps every member inside `folder`. Beyond that, names must work on every
    platform, each only once regardless of case, and links are refused: a model has none. AppleDouble files (`._*`,
    which macOS's tar adds) are left out.

    Raises:
        DownloadError: if the archive is damaged, or holds anything but files and folders with safe relative names,
            or one name twice, or more than MAX_MEMBERS members or MAX_BYTES.
    """
    try:
        # "r|" reads strictly forward, so that the limit counts every byte once.
        with _LimitedGzip(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            names: set[str] = set()
            n_bytes = 0
            for number, member in enumerate(tar, start=1):
                name = _safe_name(member)
                if number > MAX_MEMBERS:
                    raise DownloadError(f"archive refused: it has more than {MAX_MEMBERS} members")
                if name.casefold() in names:  # the same file on disks that ignore case
                    raise DownloadError(f"archive refused: it holds {member.name!r} twice")
                names.add(name.casefold())
                n_bytes += member.size
                if member.size < 0 or n_bytes > MAX_BYTES:
                    raise DownloadError(f"archive refused: it holds more than {MAX_BYTES} bytes")
                stream.allow(member.size + _MAX_HEADERS)  # its bytes, and the headers of the next member
                if not name.rpartition("/")[2].startswith("._"):
                    tar.extract(member, folder, set_attrs=False, **_FILTER)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise DownloadError(f"archive {archive.name} is damaged: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DownloadError(f"archive {archive.name} refused: it uses a file as a folder") from error
    _leave_out_top_folder(folder)


class _LimitedGzip(gzip.GzipFile):
    """A gzip file of which no more can be read, decompressed, than was allowed: a small file may hold a huge one."""

    _n_allowed = _MAX_HEADERS

    def allow(self, n_bytes: int) -> None:
        """Let so many bytes be read from here on."""
        self._n_allowed = n_bytes

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._n_allowed -= len(data)
        if self._n_allowed < 0:
            raise DownloadError(f"archive refused: the headers of a member have more than {_MAX_HEADERS} bytes")
        return data


def _leave_out_top_folder(folder: Path) -> None:
    """Move the contents of the one folder in `folder` up, if there is nothing else."""
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        top = entries[0].rename(folder / ".top")  # a name that no member has: it may hold a file of its own name
        for entry in list(top.iterdir()):
            entry.rename(folder / entry.name)
        top.rmdir()


def _safe_name(member: tarfile.TarInfo) -> str:
    """The member's name, relative, with `/`; "" for the archive's root. An absolute one has an empty part."""
    parts = [part for part in member.name.split("/") if part != "."]
    if not all(map(_PLAIN_NAME.fullmatch, parts)):
        raise DownloadError(f"archive refused: {member.name!r} is not a safe relative name")
    if not (member.isdir() or (parts and member.isreg() and not member.issparse())):
        raise DownloadError(f"archive refused: {member.name!r} is neither a file nor a folder")
    return "/".join(parts)
