"""A URL becomes a file whose sha256 is right, or a clear error, whatever the server does."""

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleeter.errors import DownloadError, HostUnavailableError, RefusedError
from spleeter.model.provider.download import RetryPolicy, fetch, fetch_json
from tests.model.provider.models import random_bytes, sha256
from tests.model.provider.server import (
    Behaviour,
    Handler,
    ReleaseHost,
    answer,
    claim_length,
    damaged,
    drop_after,
    ignore_range,
    only_a_part,
    release_host,
    stall_after,
    without_length,
    wrong_part,
)

BODY = random_bytes(400_001)


@pytest.fixture
def host() -> Iterator[ReleaseHost]:
    with release_host() as running:
        running.files["/file"] = BODY
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were made, in seconds; none was slept."""
    return []


@pytest.fixture
def policy(pauses: list[float]) -> RetryPolicy:
    return RetryPolicy(connect_timeout=2.0, read_timeout=5.0, attempts=4, sleep=pauses.append)


def assert_fetched(target: Path) -> None:
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target], "nothing else is left"


def test_a_good_server_is_asked_once(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy, lambda done, total: seen.append((done, total)))
    assert_fetched(tmp_path / "f")
    assert len(host.requests) == 1
    assert seen == sorted(seen)
    assert seen[-1] == (len(BODY), len(BODY))


def test_a_dropped_connection_is_resumed_where_it_broke(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy
) -> None:
    host.script = [drop_after(100_000), drop_after(1), drop_after(200_000)]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert [request.range for request in host.requests] == [None, "bytes=100000-", "bytes=100001-", "bytes=300001-"]
    assert host.sent == len(BODY), "no byte was sent twice"


@settings(max_examples=15, deadline=None)
@given(drops=st.lists(st.integers(0, 150_000), max_size=5))
def test_any_row_of_drops_gives_the_same_file(drops: list[int]) -> None:
    with release_host() as host, TemporaryDirectory() as folder:
        host.files["/file"] = BODY
        host.script = [drop_after(n_bytes) for n_bytes in drops]
        policy = RetryPolicy(attempts=7, sleep=lambda seconds: None)
        fetch(f"{host.url}/file", Path(folder, "f"), sha256(BODY), policy)
        assert_fetched(Path(folder, "f"))
        assert host.sent == len(BODY)


def test_the_next_call_goes_on_with_what_the_last_one_got(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy
) -> None:
    host.script = [drop_after(250_000), *[answer(503)] * 4]
    with pytest.raises(HostUnavailableError, match="503"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert not (tmp_path / "f").exists()
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert host.requests[-1].range == "bytes=250000-"
    assert host.requests[-1].if_range == f'"{sha256(BODY)}"'


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy
) -> None:
    host.files["/file"] = random_bytes(500_000, seed=1)
    host.script = [drop_after(250_000), *[answer(503)] * 4]
    with pytest.raises(HostUnavailableError, match="503"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    host.files["/file"] = BODY
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert host.sent == 250_000 + len(BODY), "it was the server that noticed, by If-Range"


@pytest.mark.parametrize(
    "second",
    [
        *(ignore_range, without_length, wrong_part, answer(416), answer(206, Content_Range="nonsense")),
        answer(206, Content_Range=f"bytes {'9' * 5000}-1/2"),
    ],
    ids=["ignores Range", "ignores Range, no length", "another part", "416", "no Content-Range", "5000 digits"],
)
def test_a_server_that_cannot_resume_starts_over(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy, second: Behaviour
) -> None:
    host.script = [drop_after(100_000), second]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")


def test_a_server_that_sends_part_by_part(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [only_a_part(100_000)] * 5
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert host.sent == len(BODY)


@pytest.mark.parametrize("length", [len(BODY) + 10, len(BODY) - 10, 0])
def test_a_wrong_content_length_is_noticed(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy, length: int
) -> None:
    host.script = [claim_length(length)]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert len(host.requests) > 1


def test_a_silent_connection_counts_as_dropped(host: ReleaseHost, tmp_path: Path, pauses: list[float]) -> None:
    host.script = [stall_after(100_000), stall_after(0)]
    policy = RetryPolicy(read_timeout=0.2, sleep=pauses.append)
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert [request.range for request in host.requests] == [None, "bytes=100000-", "bytes=100000-"]


def test_a_server_in_trouble_is_asked_again_with_growing_pauses(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy, pauses: list[float]
) -> None:
    host.script = [answer(500), answer(429, Retry_After="7"), answer(503, Retry_After="100000")]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert pauses == [1.0, 7.0, 60.0]


def test_retries_are_bounded(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [answer(500)] * 100
    with pytest.raises(HostUnavailableError, match=f"{host.url}/file: HTTP 500"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert len(host.requests) == policy.attempts


def test_a_server_that_always_drops_at_the_same_place_and_cannot_resume_is_given_up(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy
) -> None:
    def drop_at_once(handler: object, body: bytes) -> None:
        claim_length(len(body))(handler, body[:100_000])  # type: ignore[arg-type]

    host.script = [drop_at_once] * 100
    with pytest.raises(HostUnavailableError, match="no download from"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert len(host.requests) == policy.attempts


def test_attempts_that_get_further_are_not_counted(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [drop_after(20_000)] * 19
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert len(host.requests) > 3 * policy.attempts


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy, status: int) -> None:
    host.script = [answer(status)]
    with pytest.raises(RefusedError, match=f"{host.url}/file was refused with HTTP {status}"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert len(host.requests) == 1
    assert not list(tmp_path.iterdir())


def test_damage_once_is_repaired(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [damaged]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")


def test_damage_twice_is_an_error_and_leaves_nothing(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [damaged, damaged]
    with pytest.raises(DownloadError, match="not what was released") as caught:
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert not isinstance(caught.value, HostUnavailableError | RefusedError)
    assert len(host.requests) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_bytes", [1, 1000, len(BODY), len(BODY) + 1])
def test_a_partial_file_of_something_else_does_no_harm(
    host: ReleaseHost, tmp_path: Path, policy: RetryPolicy, n_bytes: int
) -> None:
    (tmp_path / "f.part").write_bytes(bytes(n_bytes))
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")


def test_a_partial_file_that_is_whole_needs_no_server(tmp_path: Path, policy: RetryPolicy) -> None:
    (tmp_path / "f.part").write_bytes(BODY)
    fetch("http://127.0.0.1:9/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")


def test_redirects_are_followed_and_keep_the_range(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.files["/release"] = b""
    there = answer(302, Location=f"{host.url}/file")
    host.script = [there, drop_after(100_000), there]
    fetch(f"{host.url}/release", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")
    assert [r.range for r in host.requests if r.path == "/file"] == [None, "bytes=100000-"]


def test_redirects_without_end_are_an_error(host: ReleaseHost, tmp_path: Path, policy: RetryPolicy) -> None:
    host.script = [answer(302, Location=f"{host.url}/file")] * 100
    with pytest.raises(DownloadError, match="redirect"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)


def test_whoever_is_offline_learns_it_after_two_attempts(
    tmp_path: Path, policy: RetryPolicy, pauses: list[float]
) -> None:
    with socket.socket() as bound:  # bound but not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/file"
        with pytest.raises(HostUnavailableError, match=url):
            fetch(url, tmp_path / "f", sha256(BODY), policy)
    assert pauses == [1.0]


def test_a_connection_lost_midway_is_worth_more_attempts(
    host: ReleaseHost, tmp_path: Path, pauses: list[float]
) -> None:
    policy = RetryPolicy(attempts=4, connect_attempts=1, sleep=pauses.append)
    host.script = [drop_after(1000)]
    nowhere = answer(302, Location="http://127.0.0.1:9/")
    host.script += [nowhere, nowhere]
    fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert_fetched(tmp_path / "f")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/file", "http://", "http://127.0.0.1:port/file", "file:///etc/hosts"]
)
def test_an_unusable_url_is_an_error_at_once(
    tmp_path: Path, policy: RetryPolicy, pauses: list[float], url: str
) -> None:
    with pytest.raises(DownloadError, match=r"cannot fetch") as caught:
        fetch(url, tmp_path / "f", sha256(BODY), policy)
    assert not isinstance(caught.value, HostUnavailableError)
    assert not pauses


def test_an_unusable_proxy_is_no_traceback(
    tmp_path: Path, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(HostUnavailableError, match="proxy"):
        fetch("http://release.invalid/file", tmp_path / "f", sha256(BODY), policy)


def test_json(host: ReleaseHost, policy: RetryPolicy) -> None:
    host.files["/index"] = b'{"2stems": "abc"}'
    host.script = [answer(500)]
    assert fetch_json(f"{host.url}/index", policy) == {"2stems": "abc"}
    host.files["/index"] = b"<html>"
    with pytest.raises(DownloadError, match=f"{host.url}/index is not JSON"):
        fetch_json(f"{host.url}/index", policy)


def test_a_file_that_claims_more_than_the_bound_is_not_begun(
    host: ReleaseHost, tmp_path: Path, pauses: list[float]
) -> None:
    policy = RetryPolicy(max_bytes=len(BODY) - 1, sleep=pauses.append)
    with pytest.raises(DownloadError, match=f"has {len(BODY)} bytes, and at most {len(BODY) - 1} are taken"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert not list(tmp_path.iterdir())


def test_an_endless_file_ends_at_the_bound(host: ReleaseHost, tmp_path: Path, pauses: list[float]) -> None:
    sent = []

    def endless(handler: Handler, body: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:  # until the client hangs up
            handler.wfile.write(body)
            sent.append(len(body))

    host.script = [endless]
    policy = RetryPolicy(max_bytes=2_000_000, sleep=pauses.append)
    with pytest.raises(DownloadError, match="has more than 2000000 bytes, which are not taken"):
        fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy)
    assert not [file for file in tmp_path.iterdir() if not file.name.endswith(".etag")]
    assert sum(sent) < 20_000_000


def drip(pause: float, prefix: bytes = b"") -> Behaviour:
    """Send the beginning of an answer, and then a byte from time to time."""

    def send(handler: Handler, body: bytes) -> None:
        handler.wfile.write(prefix)
        handler.wfile.flush()
        while not handler.host.closing.wait(pause):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return send


@pytest.mark.parametrize(
    "prefix",
    [b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\nContent-Length: 400001\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["headers", "body", "body without length"],
)
def test_a_host_that_drips_is_given_up(host: ReleaseHost, tmp_path: Path, pauses: list[float], prefix: bytes) -> None:
    """Each byte comes within the timeout of a read."""
    host.files["/index"] = b"{}"
    host.script = [drip(0.05, prefix)] * 4
    policy = RetryPolicy(read_timeout=0.3, attempts=2, sleep=pauses.append)
    for get in (
        lambda: fetch(f"{host.url}/file", tmp_path / "f", sha256(BODY), policy),
        lambda: fetch_json(f"{host.url}/index", policy),
    ):
        started = time.monotonic()
        with pytest.raises(
            HostUnavailableError, match=r"no answer in full within 0\.3 seconds|slower than 1000 bytes"
        ):
            get()
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"{} {}", gzip.compress(b"{}")])
def test_what_is_no_json_is_one_clear_line(host: ReleaseHost, policy: RetryPolicy, body: bytes) -> None:
    host.files["/index"] = body
    with pytest.raises(DownloadError, match=f"{host.url}/index is not JSON") as caught:
        fetch_json(f"{host.url}/index", policy)
    assert len(str(caught.value).splitlines()) == 1
