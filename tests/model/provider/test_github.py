"""A release becomes a verified model, once, whatever the host offers and whoever else asks for it."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import spleeter
from spleeter.errors import DownloadError, HostUnavailableError, ModelError
from spleeter.model.provider import ModelProvider, released
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.github import GithubModelProvider
from spleeter.model.provider.install import locked
from spleeter.model.provider.manifest import Manifest, Verification, file_records, verify
from tests.model.provider.conftest import ARCHIVE, FILES, RELEASE
from tests.model.provider.models import archive, checkpoint_files, sha256, write_files
from tests.model.provider.server import Handler, ReleaseHost, answer, damaged, drop_after, slowly

ROOT = Path(spleeter.__file__).parents[1]
VISIBLE = {name: data for name, data in FILES.items() if not name.startswith("._")}

CLIENT = """
import logging, sys
from spleeter.model.provider import released
from spleeter.model.provider.github import GithubModelProvider
logging.basicConfig(format="%(message)s", level=logging.INFO)
released.ARCHIVE_SHA256 = {"2stems": sys.argv[2]}
print(GithubModelProvider(sys.argv[1], "deezer/spleeter", "v1.4.0").get(sys.argv[3]))
"""


def client(host: ReleaseHost, folder: Path) -> "subprocess.Popen[str]":
    """Another process that gets 2stems into `folder`."""
    command = [sys.executable, "-c", CLIENT, host.url, sha256(ARCHIVE), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def assert_right(folder: Path) -> None:
    """The folder holds what was released, and what the download adds."""
    assert {file.name for file in folder.iterdir()} == {*VISIBLE, "manifest.json", ".probe"}
    assert all((folder / name).read_bytes() == data for name, data in VISIBLE.items())
    assert verify(folder, {}) == Verification()


def test_the_sums_of_the_default_release_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_HOST", "http://127.0.0.1:9")
    provider = ModelProvider.default()
    assert isinstance(provider, GithubModelProvider)
    assert provider.checksum("2stems") == "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692"
    assert provider.checksum("4stems") == "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8"
    assert provider.checksum("5stems") == "25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218"
    with pytest.raises(ValueError, match="2stems, 4stems, 5stems"):
        provider.checksum("laisse-moi-tranquille")


def test_a_model_is_downloaded_checked_and_recorded(
    provider: GithubModelProvider, host: ReleaseHost, place: Path
) -> None:
    assert provider.get("2stems") == str(place / "2stems")
    assert_right(place / "2stems")
    manifest = Manifest.read(place / "2stems")
    assert manifest is not None
    assert (manifest.model, manifest.release) == ("2stems", "v1.4.0")
    assert manifest.source == f"{host.url}{RELEASE}/2stems.tar.gz"
    assert manifest.archive_sha256 == sha256(ARCHIVE)
    assert {name: record.sha256 for name, record in manifest.files.items()} == {
        name: sha256(data) for name, data in VISIBLE.items()
    }
    assert [file.name for file in place.iterdir() if file.name != ".2stems.lock"] == ["2stems"]


def test_a_model_that_is_there_needs_no_host(
    provider: GithubModelProvider, host: ReleaseHost, unreachable: GithubModelProvider
) -> None:
    assert unreachable.get(provider.get("2stems"))
    assert len(host.requests) == 1


def test_the_environment_names_the_host_the_repository_and_the_release(
    host: ReleaseHost, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = "/someone/models/releases/download/v9"
    host.files = {
        f"{base}/checksum.json": json.dumps({"mine": sha256(ARCHIVE)}).encode(),
        f"{base}/mine.tar.gz": ARCHIVE,
    }
    monkeypatch.setenv("GITHUB_HOST", f"{host.url}/")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/models")
    monkeypatch.setenv("GITHUB_RELEASE", "v9")
    assert ModelProvider.default().get("mine") == str(place / "mine")
    assert_right(place / "mine")
    with pytest.raises(ModelError, match=r"release v9 of someone/models has no model '2stems', only mine"):
        ModelProvider.default().get("2stems")


def test_a_host_without_a_scheme_is_https() -> None:
    named = GithubModelProvider("release.example", "o/r", "v1")
    assert named._url("x") == "https://release.example/o/r/releases/download/v1/x"


@pytest.mark.parametrize("index", [b"[]", b'{"mine": 1}', b'{"mine": "abc"}', b'"mine"', b"\xff"])
def test_an_unusable_index_is_an_error(host: ReleaseHost, index: bytes) -> None:
    host.files["/o/r/releases/download/v1/checksum.json"] = index
    with pytest.raises(DownloadError, match=r"checksum\.json is not"):
        GithubModelProvider(host.url, "o/r", "v1").checksum("mine")


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "a b", ""])
def test_an_index_cannot_name_a_path(host: ReleaseHost, name: str) -> None:
    host.files["/o/r/releases/download/v1/checksum.json"] = json.dumps({name: sha256(ARCHIVE)}).encode()
    with pytest.raises(ValueError, match="has no model"):
        GithubModelProvider(host.url, "o/r", "v1").checksum(name)


def test_a_missing_archive_is_explained(provider: GithubModelProvider, host: ReleaseHost, place: Path) -> None:
    host.files.clear()
    with pytest.raises(DownloadError) as caught:
        provider.get("2stems")
    for part in (f"{host.url}{RELEASE}/2stems.tar.gz", "404", "v1.4.0", "deezer/spleeter", "GITHUB_RELEASE"):
        assert part in str(caught.value)
    assert host.count("2stems.tar.gz") == 1
    assert not (place / "2stems").exists()


def test_an_unknown_absolute_folder_says_what_is_missing(provider: GithubModelProvider, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model in .*absent: there is no such folder; .*only 2stems, 4stems"):
        provider.get(str(tmp_path / "deep" / "absent"))
    assert not (tmp_path / "deep").exists()
    torn = write_files(tmp_path / "my-model", {"checkpoint": FILES["checkpoint"]})
    with pytest.raises(ModelError, match=r"there is no model\.index"):
        provider.get(str(torn))


def test_a_released_name_at_the_end_of_an_absolute_folder(provider: GithubModelProvider, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "2stems"
    assert provider.get(str(folder)) == str(folder)
    assert_right(folder)


def test_damage_on_the_way_is_repaired_or_refused(
    provider: GithubModelProvider, host: ReleaseHost, place: Path
) -> None:
    host.script = [damaged, damaged]
    with pytest.raises(DownloadError, match="not what was released"):
        provider.get("2stems")
    assert [file.name for file in place.iterdir()] == [".2stems.lock"]
    host.script = [damaged]
    provider.get("2stems")
    assert_right(place / "2stems")


@pytest.mark.parametrize(
    "files",
    [
        {"../evil": b"x", **FILES},
        {"/tmp/evil": b"x", **FILES},
        {name: data for name, data in FILES.items() if name != "model.index"},
        {**FILES, "model.data-00000-of-00001": b"short"},
        {f"{name.partition('.')[0]}/{name}": data for name, data in FILES.items()},
        {},
    ],
    ids=["escapes", "absolute", "no index", "short data", "in folders", "empty"],
)
def test_an_archive_that_holds_no_model_leaves_nothing(
    provider: GithubModelProvider,
    host: ReleaseHost,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes],
) -> None:
    hostile = archive(files)
    monkeypatch.setattr(released, "ARCHIVE_SHA256", {"2stems": sha256(hostile)})
    host.files[f"{RELEASE}/2stems.tar.gz"] = hostile
    with pytest.raises(DownloadError, match=r"holds no usable model|archive refused|cannot put a model"):
        provider.get("2stems")
    assert set(place.rglob("*")) == {place / ".2stems.lock"}


def test_a_download_by_force_replaces_a_damaged_model(provider: GithubModelProvider, place: Path) -> None:
    folder = Path(provider.get("2stems"))
    (folder / "model.meta").write_bytes(b"grape")
    assert verify(folder, {}).differences == ("model.meta is not what was released (sha256 differs)",)
    provider.download("2stems", str(folder))
    assert_right(folder)
    assert {file.name for file in place.iterdir()} == {"2stems", ".2stems.lock"}


def test_a_download_by_force_that_fails_keeps_the_model(
    provider: GithubModelProvider, host: ReleaseHost, place: Path
) -> None:
    provider.get("4stems")
    host.script = [drop_after(1000), *[answer(500)] * 3]
    with pytest.raises(DownloadError, match="GITHUB_HOST to a mirror"):
        provider.download("4stems", str(place / "4stems"))
    assert_right(place / "4stems")


def test_a_download_waits_for_the_lock(provider: GithubModelProvider, host: ReleaseHost, place: Path) -> None:
    thread = threading.Thread(target=provider.download, args=("2stems", str(place / "2stems")))
    with locked(place / "2stems"):
        thread.start()
        thread.join(0.3)  # time to begin, if it could
        assert not host.requests
    thread.join()
    assert_right(place / "2stems")


def test_verification_without_a_manifest(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "2stems", checkpoint_files())
    data, index = "model.data-00000-of-00001", "model.index"
    sums = {name: sha256(checkpoint_files()[name]) for name in (data, index)}
    assert verify(folder, {}) == Verification(doubt="no checksums are known for its files")
    assert verify(folder, {"other": "sum"}).doubt == "no checksums are known for its files"
    assert verify(folder, sums) == Verification()
    wrong = {**sums, data: sha256(b"")}
    assert verify(folder, wrong).differences == (f"{data} is not what was released (sha256 differs)",)
    (folder / "manifest.json").write_text("{}")
    assert verify(folder, {}).differences == (f"{folder / 'manifest.json'} is damaged",)


SUMS = {name: sha256(VISIBLE[name]) for name in ("model.data-00000-of-00001", "model.index")}


@pytest.fixture
def download(provider: GithubModelProvider, monkeypatch: pytest.MonkeyPatch) -> Path:
    """2stems as it was downloaded; the sums of its files are built in, those of 4stems are not."""
    monkeypatch.setattr(released, "FILE_SHA256", {"2stems": SUMS})
    return Path(provider.get("2stems"))


def forged(folder: Path, name: str, archive_sha256: str) -> None:
    """Put a manifest in a folder that says of the files there that they were released."""
    files = {key: record for key, record in file_records(folder).items() if key != "manifest.json"}
    manifest = Manifest(model=name, release="v1.4.0", source="there", archive_sha256=archive_sha256, files=files)
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def test_the_built_in_sums_decide_whatever_a_manifest_says(provider: GithubModelProvider, download: Path) -> None:
    assert provider.verify("2stems") == Verification()
    write_files(download, checkpoint_files(20_000, seed=9))
    forged(download, "2stems", sha256(ARCHIVE))
    found = provider.verify("2stems").differences
    assert found == tuple(f"{name} is not what was released (sha256 differs)" for name in SUMS)


def test_a_released_model_in_another_format_is_not_damaged(provider: GithubModelProvider, download: Path) -> None:
    for file in download.iterdir():
        file.unlink()
    save_file({"a": np.zeros(3)}, download / "model.safetensors")
    assert provider.verify("2stems") == Verification(doubt="no checksums are known for its files")


def test_a_sparse_file_is_not_read_to_its_end(provider: GithubModelProvider, download: Path) -> None:
    with (download / "model.meta").open("wb") as file:
        file.truncate(2**43)
    assert provider.verify("2stems").differences == ("model.meta has more than 2147483648 bytes, which no model has",)


@pytest.mark.parametrize("has_manifest", [True, False])
def test_other_weights_beside_the_released_ones_are_no_part_of_them(
    provider: GithubModelProvider, download: Path, has_manifest: bool
) -> None:
    """They would be loaded in their place."""
    (download / "manifest.json").unlink()
    other = {name.replace("model.", "other."): data for name, data in checkpoint_files(seed=9).items()}
    write_files(download, {**other, "checkpoint": b'model_checkpoint_path: "other"'})
    if has_manifest:
        forged(download, "2stems", sha256(ARCHIVE))
    found = provider.verify("2stems")
    assert found.doubt or found.differences
    if not has_manifest:
        assert "other.index is no file of the release" in found.differences
    save_file({"a": np.zeros(3)}, download / "model.safetensors")
    assert "model.safetensors is no file of the release" in provider.verify("2stems").differences


def test_a_manifest_that_came_with_its_files_proves_nothing(
    provider: GithubModelProvider, download: Path, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = Path(provider.get("4stems"))
    assert provider.verify("4stems") == Verification()
    write_files(own, checkpoint_files(20_000, seed=9))
    forged(own, "4stems", sha256(ARCHIVE))
    found = provider.verify("4stems")
    assert found.differences == ()
    assert "not written by a download of yours" in str(found.doubt)
    forged(own, "4stems", sha256(b"another"))
    assert "manifest.json is that of another archive than the released one" in provider.verify("4stems").differences
    provider.download("4stems", str(own))
    assert provider.verify("4stems") == Verification()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user's"))
    assert provider.verify("4stems").doubt
    assert provider.verify("2stems") == Verification(), "its sums are built in"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", ""])
def test_a_manifest_names_nothing_outside_of_its_folder(download: Path, name: str) -> None:
    forged(download, "2stems", sha256(ARCHIVE))
    text = (download / "manifest.json").read_text()
    (download / "manifest.json").write_text(text.replace('"model.meta"', json.dumps(name)))
    assert verify(download, {}).differences == (f"{download / 'manifest.json'} is damaged",)


def test_an_archive_with_a_folder_around_its_files(provider: GithubModelProvider, host: ReleaseHost, place: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    nested = archive({f"2stems/{name}": data for name, data in FILES.items()})
    monkeypatch.setattr(released, "ARCHIVE_SHA256", {"2stems": sha256(nested)})
    host.files[f"{RELEASE}/2stems.tar.gz"] = nested
    provider.get("2stems")
    assert_right(place / "2stems")


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.parametrize("name", [".2stems.download", ".2stems.lock", "everything"])
def test_a_planted_link_is_never_followed(provider: GithubModelProvider, place: Path, name: str) -> None:
    """In a folder that others can write to."""
    place.mkdir(mode=0o777)
    victim = write_files(place.parent / "victim", {"file": b"precious"})
    partial = f"{sha256(ARCHIVE)[:16]}.tar.gz.part"
    if name == "everything":
        theirs = place / ".2stems.download"
        theirs.mkdir()
        theirs.chmod(0o777)
        (theirs / partial).symlink_to(victim / "file")
        (theirs / f"{partial}.etag").symlink_to(victim / "file")
    else:
        (place / name).symlink_to(victim if name == ".2stems.download" else victim / "file")
    if name == ".2stems.lock":
        with pytest.raises(DownloadError, match="cannot put a model into"):
            provider.get("2stems")
    else:
        provider.get("2stems")
        assert_right(place / "2stems")
    assert {file.name: file.read_bytes() for file in victim.iterdir()} == {"file": b"precious"}


def test_an_endless_index_of_checksums_is_refused(host: ReleaseHost) -> None:
    host.files["/me/mine/releases/download/v1/checksum.json"] = b" " * (2**20 + 1)
    provider = GithubModelProvider(host.url, "me/mine", "v1")
    with pytest.raises(DownloadError, match=r"checksum\.json has more than 1048576 bytes"):
        provider.get("mine")


@pytest.mark.parametrize("name", ["GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE"])
def test_environment_that_no_url_can_hold(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "\udcff")
    with pytest.raises(ModelError, match=rf"{name} is no name of .*'\\udcff'"):
        GithubModelProvider.from_environ()


def test_progress_reaches_the_end(provider: GithubModelProvider) -> None:
    seen: list[tuple[int, int | None]] = []
    provider.progress = lambda done, total: seen.append((done, total))
    provider.get("2stems")
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))


def test_two_processes_download_once(host: ReleaseHost, tmp_path: Path) -> None:
    """The answer to the first waits until the second has found the lock taken."""
    second_waits = threading.Event()

    def hold(handler: Handler, body: bytes) -> None:
        second_waits.wait(20)
        handler.offer(body)

    host.script = [hold]
    folder = tmp_path / "both" / "2stems"
    with client(host, folder) as first:
        while not host.requests and first.poll() is None:
            time.sleep(0.01)
        with client(host, folder) as second:
            assert second.stderr is not None
            assert "waiting for another process" in second.stderr.readline()
            second_waits.set()
            outputs = first.communicate(timeout=20)[0], second.communicate(timeout=20)[0]
    assert outputs == (f"{folder}\n", f"{folder}\n")
    assert host.count("2stems.tar.gz") == 1
    assert_right(folder)


def test_a_process_killed_while_downloading_leaves_nothing_that_passes_for_a_model(
    host: ReleaseHost, tmp_path: Path
) -> None:
    folder = tmp_path / "killed" / "2stems"
    for delay in (0.0, 0.05, 0.1, 0.15):
        host.script = [slowly(0.5)]
        n_requests = len(host.requests)
        with client(host, folder) as process:
            while len(host.requests) == n_requests and process.poll() is None:
                time.sleep(0.01)
            time.sleep(delay)
            process.kill()
        assert flaw(folder) == "there is no such folder"
    host.script.clear()
    with client(host, folder) as process:
        output, _ = process.communicate(timeout=20)
    assert output == f"{folder}\n"
    assert_right(folder)
    starts = [int((request.range or "=0-").strip("bytes=-")) for request in host.requests]
    assert starts == sorted(starts), "each goes on where the one before was killed"
    assert starts[-1] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_process_killed_anywhere_leaves_nothing_that_passes_for_a_model(host: ReleaseHost, tmp_path: Path) -> None:
    """Killed before each of its calls into the file system in turn; see killed.py."""
    script = Path(__file__).with_name("killed.py")
    command = [sys.executable, str(script), host.url, sha256(ARCHIVE), str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    n_absent, n_whole = map(int, done.stdout.split())
    assert n_absent > 20
    assert n_whole > 0, "the last kills come after the model is in place"


def test_an_unreachable_host_says_what_to_do(unreachable: GithubModelProvider) -> None:
    with pytest.raises(DownloadError) as caught:
        unreachable.get("4stems")
    assert isinstance(caught.value.__cause__, HostUnavailableError)
    for part in ("http://127.0.0.1:9", "GITHUB_HOST", "MODEL_PATH", "spleeter models download 4stems"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
