"""Download a URL to a file: resume, retry, verify."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from spleeter.errors import DownloadError, HostUnavailableError, RefusedError
from spleeter.model.provider.manifest import file_sha256
from spleeter.utils.logging import logger

if TYPE_CHECKING:
    import httpx2


__all__ = ["DownloadProgress", "RetryPolicy", "fetch", "fetch_json"]

DownloadProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all, None where that is unknown; starts over if a download does."""

_Result = TypeVar("_Result")

_PROGRESS = 2**14  # bytes
_MAX_JSON = 2**20  # bytes


@dataclass(frozen=True)
class RetryPolicy:
    """Timeouts, and how often and after which pauses a request is repeated."""

    connect_timeout: float = 5.0
    """Seconds until a host that does not answer counts as unreachable."""
    read_timeout: float = 30.0
    """Seconds without data, or without the headers in full, until a connection counts as dropped."""
    least_speed: float = 1000.0
    """Bytes a second, over `read_timeout`, below which a connection counts as dropped."""
    max_bytes: int = 2**30
    """Of a file; the largest of Deezer's archives has 0.2 GB."""
    connect_attempts: int = 2
    """Attempts while the host was never reached. Few, so that without a network the error, or the fallback, comes
    within seconds."""
    attempts: int = 6
    """Attempts once it was reached: after dropped connections and server errors. Counted from 0 again whenever one
    got further than all before, by `_PROGRESS` at least."""
    first_pause: float = 1.0
    """Seconds before the second attempt; doubled before each further one (exponential backoff)."""
    longest_pause: float = 60.0
    """Seconds; also bounds what a server asks for with Retry-After."""
    sleep: Callable[[float], None] = time.sleep


def fetch(url: str, target: Path, sha256: str, policy: RetryPolicy, progress: DownloadProgress | None = None) -> None:
    """Download `url` to the file `target`, which appears only once its sha256 is right.

    The bytes received so far are kept in `target`.part, from which the next call resumes, in another process too. The
    folder must be the user's own: whoever can write there could put a link in the place of that file.

    Raises:
        HostUnavailableError: if the host cannot be reached or keeps failing.
        RefusedError: if it answers 404 or the like.
        DownloadError: if what it delivers has another sha256, twice, or more bytes than `policy.max_bytes`.
    """
    partial = target.with_name(f"{target.name}.part")
    for _ in range(2):
        # A process may have died after the last byte: a complete file needs no request.
        received = file_sha256(partial) if partial.exists() else ""
        if received != sha256:
            _receive(url, partial, policy, progress)
            received = file_sha256(partial)
        _validator_file(partial).unlink(missing_ok=True)
        if received == sha256:
            partial.replace(target)
            return
        partial.unlink()
        logger.info("%s arrived damaged", url)
    raise DownloadError(f"{url} is not what was released: its sha256 is {received}, expected {sha256}")


def fetch_json(url: str, policy: RetryPolicy) -> Any:
    """Download and parse a small JSON document. Raises as `fetch` does."""

    def read() -> bytearray:
        data = bytearray()
        with (
            _client(url, policy) as client,
            _at_most(policy.read_timeout, client),
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            _check_status(response)
            for chunk in response.iter_raw():  # raw: a small answer may be a huge one compressed
                data += chunk
                if len(data) > _MAX_JSON:
                    raise DownloadError(f"{url} has more than {_MAX_JSON} bytes, which are not taken")
        return data

    try:
        return json.loads(_with_retries(read, url, policy, lambda: 0))
    except (ValueError, RecursionError) as error:
        raise DownloadError(f"{url} is not JSON: {error}") from error


class _RetryableError(Exception):
    """A failure that a repeated request may not meet."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asks for by Retry-After."""


def _with_retries(
    attempt: Callable[[], _Result], url: str, policy: RetryPolicy, bytes_so_far: Callable[[], int]
) -> _Result:
    """Call `attempt` until it succeeds, fails permanently, or has been repeated as often as the policy allows."""
    import httpx2  # takes 0.1 s, which a model that is already there need not pay

    unreached = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
    failures, furthest, reached = 0, bytes_so_far(), False
    while True:
        try:
            return attempt()
        except httpx2.UnsupportedProtocol as error:
            raise DownloadError(f"cannot fetch {url}: {error}") from error
        except (_RetryableError, httpx2.TransportError) as error:
            if bytes_so_far() >= furthest + _PROGRESS:
                furthest, failures = bytes_so_far(), 0
            failures += 1
            reached = reached or not isinstance(error, unreached)
            if failures >= (policy.attempts if reached else policy.connect_attempts):
                raise HostUnavailableError(f"no download from {url}: {_reason(error)}") from error
            logger.debug("%s: %s; trying again", url, _reason(error))
            asked = error.pause if isinstance(error, _RetryableError) else 0.0
            policy.sleep(min(max(asked, policy.first_pause * 2 ** (failures - 1)), policy.longest_pause))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadError(f"cannot fetch {url}: {_reason(error)}") from error


def _receive(url: str, partial: Path, policy: RetryPolicy, progress: DownloadProgress | None) -> None:
    """Download into `partial` until it is as long as the server says, resuming after each dropped connection."""
    _with_retries(lambda: _receive_once(url, partial, policy, progress), url, policy, lambda: _size(partial))


def _receive_once(url: str, partial: Path, policy: RetryPolicy, progress: DownloadProgress | None) -> None:
    with _client(url, policy) as client, _answer(client, url, _resume_headers(partial), policy) as response:
        if response.status_code == 416:  # `partial` is as long as the file or longer, yet its sha256 is wrong
            partial.unlink(missing_ok=True)
        _check_status(response)
        done, total = _extent(response)
        if (total or 0) > policy.max_bytes:
            raise DownloadError(f"{url} has {total} bytes, and at most {policy.max_bytes} are taken")
        if done == 0:
            partial.write_bytes(b"")  # first, lest the old bytes pass for those of the new validator
            _validator_file(partial).write_text(_validator(response.headers))
        watch = _SpeedWatch(policy)
        with partial.open("ab") as stream:
            for chunk in response.iter_raw():  # raw: the sha256 is that of the bytes as sent
                stream.write(chunk)
                done += len(chunk)
                if done > policy.max_bytes:
                    partial.unlink()
                    raise DownloadError(f"{url} has more than {policy.max_bytes} bytes, which are not taken")
                watch.count(len(chunk))
                if progress:
                    progress(done, total)
    if total is not None and done != total:
        raise _RetryableError(f"{done} of {total} bytes arrived")


@contextmanager
def _answer(
    client: httpx2.Client, url: str, headers: Mapping[str, str], policy: RetryPolicy
) -> Iterator[httpx2.Response]:
    """The response to a request, as soon as its headers are there."""
    with _at_most(policy.read_timeout, client):
        response = client.send(client.build_request("GET", url, headers=headers), stream=True)
    try:
        yield response
    finally:
        response.close()


@contextmanager
def _at_most(seconds: float, client: httpx2.Client) -> Iterator[None]:
    """End a block that takes longer than some seconds: httpx's timeouts begin anew with every byte.

    Raises:
        _RetryableError: if it took longer.
    """
    import httpx2

    is_over = Event()

    def end() -> None:
        is_over.set()
        client.close()

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (httpx2.TransportError, RuntimeError, OSError) as error:
        if is_over.is_set():
            raise _RetryableError(f"no answer in full within {seconds:g} seconds") from error
        raise
    finally:
        timer.cancel()


class _SpeedWatch:
    """Counts the bytes of a connection, and finds it too slow to go on with."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._since, self._n_bytes = time.monotonic(), 0

    def count(self, n_bytes: int) -> None:
        """Count bytes that have just arrived. Raises _RetryableError if they were too few over `read_timeout`."""
        self._n_bytes += n_bytes
        elapsed = time.monotonic() - self._since
        if elapsed >= self._policy.read_timeout:
            if self._n_bytes < elapsed * self._policy.least_speed:
                raise _RetryableError(f"slower than {self._policy.least_speed:g} bytes a second")
            self._since, self._n_bytes = time.monotonic(), 0


def _resume_headers(partial: Path) -> dict[str, str]:
    """Ask for the missing bytes, or for all if the server's file is no longer the one that `partial` began with."""
    headers = {"Accept-Encoding": "identity"}
    if size := _size(partial):
        headers["Range"] = f"bytes={size}-"
        validator = _validator_file(partial)
        if validator.exists() and (tag := validator.read_text()):
            headers["If-Range"] = tag
    return headers


def _extent(response: httpx2.Response) -> tuple[int, int | None]:
    """The offset of the response's first byte in the file, and the file's length in bytes, None if unknown.

    Whether the offset is the requested one is left to the sha256 of the whole file.
    """
    if response.status_code != 206:
        return 0, _number(response.headers.get("Content-Length", ""))
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    start = _number(span.partition("-")[0])
    if start is None:
        raise _RetryableError("the server does not say which part of the file it sends")
    return start, _number(total)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _validator(headers: Mapping[str, str]) -> str:
    """The validator for If-Range (RFC 9110, 13.1.5): a strong ETag, else the date; "" if there is neither."""
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    return validator if validator.isascii() else ""


def _check_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status in (408, 416, 429) or status >= 500:
        asked = response.headers.get("Retry-After", "")
        raise _RetryableError(f"HTTP {status} {response.reason_phrase}", float(asked) if asked.isdecimal() else 0.0)
    if status not in (200, 206):
        raise RefusedError(f"{response.url} was refused with HTTP {status} {response.reason_phrase}".rstrip())


def _client(url: str, policy: RetryPolicy) -> httpx2.Client:
    import httpx2

    timeout = httpx2.Timeout(policy.read_timeout, connect=policy.connect_timeout)
    try:
        return httpx2.Client(follow_redirects=True, timeout=timeout)
    except (ValueError, ImportError, httpx2.InvalidURL) as error:  # a proxy's URL is malformed or unsupported
        raise HostUnavailableError(f"no download from {url}: proxy settings in the environment: {error}") from error


def _validator_file(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.etag")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: Exception) -> str:
    """An error's message; some of httpx's have none, and are named by their type."""
    return str(error) or type(error).__name__
