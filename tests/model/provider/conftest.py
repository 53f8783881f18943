"""A release host, a place for models, and what the package says, for the tests of this folder."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spleeter.model.provider import released
from spleeter.model.provider.download import RetryPolicy
from spleeter.model.provider.github import GithubModelProvider
from spleeter.utils.logging import logger
from tests.model.provider.models import archive, checkpoint_files, sha256
from tests.model.provider.server import ReleaseHost, release_host

FILES = {**checkpoint_files(20_000), "model.meta": b"graph", "._checkpoint": b"Mac"}
ARCHIVE = archive(FILES)
RELEASE = "/deezer/spleeter/releases/download/v1.4.0"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that `MODEL_PATH` names, which is yet to be made; nothing else in the environment counts."""
    for name in ("GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing is fetched from beyond this machine
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    folder = tmp_path / "models"
    monkeypatch.setenv("MODEL_PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseHost]:
    """A host with the default release, in which 2stems and 4stems are a small model."""
    monkeypatch.setattr(released, "ARCHIVE_SHA256", {"2stems": sha256(ARCHIVE), "4stems": sha256(ARCHIVE)})
    monkeypatch.setattr(released, "FILE_SHA256", {})
    with release_host() as running:
        running.files = {f"{RELEASE}/{name}.tar.gz": ARCHIVE for name in ("2stems", "4stems")}
        yield running


@pytest.fixture
def provider(host: ReleaseHost) -> GithubModelProvider:
    """The default release at that host."""
    made = GithubModelProvider(host.url, "deezer/spleeter", "v1.4.0")
    made.retry_policy = RetryPolicy(read_timeout=5.0, attempts=3, sleep=lambda seconds: None)
    return made


@pytest.fixture
def unreachable() -> GithubModelProvider:
    """The default release at a host that refuses connections."""
    made = GithubModelProvider("http://127.0.0.1:9", "deezer/spleeter", "v1.4.0")
    made.retry_policy = RetryPolicy(sleep=lambda seconds: None)
    return made


@pytest.fixture
def messages() -> Iterator[list[logging.LogRecord]]:
    """The records of the package's logger."""
    records: list[logging.LogRecord] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, level = Recorder(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)
