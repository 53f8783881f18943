"""An archive is extracted to plain files inside the folder, or refused; nothing appears outside."""

import gzip
import importlib
import io
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.errors import DownloadError
from spleeter.model.provider import extract
from spleeter.model.provider.extract import extract_tar
from tests.model.provider.models import archive, checkpoint_files


def member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    info.size = 5 if kind == tarfile.REGTYPE else 0
    return info


def packed(*members: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"12345"))
    return stream.getvalue()


def extracted(data: bytes, folder: Path) -> dict[str, bytes]:
    """Extract into `folder`/inside and return what is there by relative name; assert that nothing is outside."""
    (folder / "inside").mkdir()
    (folder / "archive.tar.gz").write_bytes(data)
    try:
        extract_tar(folder / "archive.tar.gz", folder / "inside")
    finally:
        assert {path.name for path in folder.iterdir()} == {"inside", "archive.tar.gz"}
        assert not [path for path in (folder / "inside").rglob("*") if path.is_symlink()]
    inside = folder / "inside"
    return {str(path.relative_to(inside)): path.read_bytes() for path in inside.rglob("*") if path.is_file()}


def test_plain_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    assert extracted(archive(checkpoint_files()), tmp_path) == checkpoint_files()


def test_folders_dots_and_apple_doubles(tmp_path: Path) -> None:
    data = packed(
        member("./", tarfile.DIRTYPE),
        member("./checkpoint"),
        member("._checkpoint"),
        member("./sub", tarfile.DIRTYPE),
        member("./sub/._model.index"),
        member("sub/model.index"),
        member("other/new file-1+2.txt"),
    )
    assert set(extracted(data, tmp_path)) == {"checkpoint", "sub/model.index", "other/new file-1+2.txt"}


@pytest.mark.parametrize(
    "info",
    [
        member("/tmp/evil"),
        member("/"),
        member("../evil"),
        member("a/../../evil"),
        member("a/.."),
        member(".."),
        member("", tarfile.REGTYPE),
        member("."),
        member("a//b"),
        member("..\\evil"),
        member("C:evil"),
        member("new\nline"),
        member("../evil", tarfile.DIRTYPE),
        member("/evil", tarfile.DIRTYPE),
        member("link", tarfile.SYMTYPE, "../evil"),
        member("link", tarfile.SYMTYPE, "checkpoint"),
        member("link", tarfile.LNKTYPE, "../archive.tar.gz"),
        member("link", tarfile.LNKTYPE, "checkpoint"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
        member("device", tarfile.BLKTYPE),
        member("checkpoint"),
        member("./checkpoint"),
        member("CHECKPOINT"),
        member("checkpoint", tarfile.DIRTYPE),
        member("checkpoint/below"),
        member("._link", tarfile.SYMTYPE, "../evil"),
    ],
    ids=lambda info: f"{info.name!r} {info.type!r} {info.linkname}",
)
def test_anything_else_is_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    with pytest.raises(DownloadError, match="archive"):
        extracted(packed(member("checkpoint"), info), tmp_path)


def test_a_file_with_the_name_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"archive archive\.tar\.gz refused: it uses a file as a folder"):
        extracted(packed(member("sub/checkpoint"), member("sub")), tmp_path)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="every later Python has the filter")
def test_the_checks_hold_without_tarfiles_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Python 3.11.0 to 3.11.3, which have none."""
    for name in ("data_filter", "FilterError"):
        monkeypatch.delattr(tarfile, name, raising=False)
    old = importlib.reload(extract)
    try:
        (tmp_path / "inside").mkdir()
        for number, info in enumerate([member("/evil"), member("../evil"), member("link", tarfile.SYMTYPE, "..")]):
            path = tmp_path / f"{number}.tar.gz"
            path.write_bytes(packed(info))
            with pytest.raises(DownloadError, match="archive refused"):
                old.extract_tar(path, tmp_path / "inside")
        (tmp_path / "good.tar.gz").write_bytes(GOOD)
        old.extract_tar(tmp_path / "good.tar.gz", tmp_path / "inside")
        assert {path.name for path in (tmp_path / "inside").iterdir()} == {"checkpoint", "model.index"}
    finally:
        monkeypatch.undo()
        importlib.reload(extract)


def test_a_file_through_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="'out' is neither a file nor a folder"):
        extracted(packed(member("out", tarfile.SYMTYPE, ".."), member("out/evil")), tmp_path)


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    """It could declare any size at no cost."""
    info = member("model.index")
    info.pax_headers = {"GNU.sparse.map": "0,5", "GNU.sparse.size": "1000000"}
    with pytest.raises(DownloadError, match="neither a file nor a folder"):
        extracted(packed(info), tmp_path)


def test_more_members_than_a_model_has_are_refused(tmp_path: Path) -> None:
    names = [member(f"f{i}") for i in range(extract.MAX_MEMBERS + 1)]
    assert len(extracted(packed(*names[:-1]), tmp_path)) == extract.MAX_MEMBERS
    (tmp_path / "again").mkdir()
    with pytest.raises(DownloadError, match="more than 100 members"):
        extracted(packed(*names), tmp_path / "again")


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_BYTES", 1_000_000)
    with pytest.raises(DownloadError, match="more than 1000000 bytes"):
        extracted(archive({"a": bytes(900_000), "b": bytes(900_000)}), tmp_path)
    assert sum(path.stat().st_size for path in (tmp_path / "inside").iterdir()) <= 1_000_000


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", gzip.compress(b""), gzip.compress(b"no archive" * 200)],
    ids=["empty", "text", "empty gzip", "gzipped text"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DownloadError, match=r"archive archive\.tar\.gz is damaged"):
        extracted(data, tmp_path)


GOOD = archive({"checkpoint": b"state", "model.index": bytes(range(256)) * 8})


@settings(deadline=None)
@given(length=st.integers(0, len(GOOD) - 1), position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_damage_never_escapes(length: int, position: int, bit: int) -> None:
    """Truncated or with one bit flipped: a DownloadError, or only plain names inside."""
    flipped = bytearray(GOOD)
    flipped[position] ^= 1 << bit
    for data in (GOOD[:length], bytes(flipped)):
        with TemporaryDirectory() as folder:
            try:
                names = extracted(data, Path(folder))
            except DownloadError:
                continue
            assert len(names) <= 2


def test_one_folder_around_everything_is_left_out(tmp_path: Path) -> None:
    data = packed(member("top", tarfile.DIRTYPE), member("top/checkpoint"), member("top/top"), member("top/sub/file"))
    assert set(extracted(data, tmp_path)) == {"checkpoint", "top", "sub/file"}


def test_declared_sizes_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    info = member("model.data")
    info.size = extract.MAX_BYTES + 1
    header = info.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(DownloadError, match=f"more than {extract.MAX_BYTES} bytes"):
        extracted(gzip.compress(header), tmp_path)
    assert not list((tmp_path / "inside").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak of memory")
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_headers_that_claim_any_size_are_refused(tmp_path: Path, kind: bytes) -> None:
    """tarfile reads them into memory; 200 MB of zeros take 200 kB in an archive."""
    from resource import RUSAGE_SELF, getrusage

    header = tarfile.TarInfo("bomb")
    header.type, header.size = kind, 2**31
    head = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    if kind == tarfile.GNUTYPE_SPARSE:  # each of its extensions says that another one follows
        head[482] = 1
        head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    rest = (bytes(504) + b"\1" + bytes(7)) * 400_000 if kind == tarfile.GNUTYPE_SPARSE else bytes(200_000_000)
    data = gzip.compress(bytes(head) + rest, compresslevel=1)
    del rest
    before = getrusage(RUSAGE_SELF).ru_maxrss
    with pytest.raises(DownloadError, match=r"headers of a member have more than 1048576 bytes|damaged"):
        extracted(data, tmp_path)
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"


def test_headers_without_end_are_refused(tmp_path: Path) -> None:
    """Each is about the next one, which tarfile reads within the one before."""
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    with pytest.raises(DownloadError, match="archive"):
        extracted(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) * 1500), tmp_path)
