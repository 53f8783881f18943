"""Fetch a URL to a file: resume, retry, verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spleeter.errors import DownloadError, HostUnavailableError, RefusedError
from spleeter.model.provider.manifest import file_sha256
from spleeter.utils.logging import logger

if TYPE_CHECKING:
    import httpx2

    from spleeter.model.provider import Progress

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a host, and how often to ask again."""

    connect_timeout: float = 5.0
    """Seconds until a host that does not answer counts as out of reach."""
    read_timeout: float = 30.0
    """Seconds of silence within an answer until it counts as dropped."""
    connect_attempts: int = 2
    """Few, so that whoever is offline learns it, or gets the fallback, within seconds."""
    attempts: int = 6
    """For an answer that drops or a server in trouble; counted anew whenever one brings more than any before."""
    first_pause: float = 1.0
    """Seconds before the second attempt; doubled before each further one."""
    longest_pause: float = 60.0
    """Seconds; also bounds what a server asks for with Retry-After."""
    sleep: Callable[[float], None] = time.sleep


def fetch(url: str, target: Path, sha256: str, patience: Patience, progress: Progress | None = None) -> None:
    """Fetch `url` to the file `target`, which appears only once its sha256 is right.

    What has arrived is kept in `target`.part, so that the next call goes on from there, in another process too.

    Raises:
        HostUnavailableError: if the host cannot be reached or keeps failing.
        RefusedError: if it answers 404 or the like.
        DownloadError: if what it delivers has another sha256, twice.
    """
    partial = target.with_name(f"{target.name}.part")
    for _ in range(2):
        # A process may have died after the last byte: what it got needs no request, and no answer to one.
        received = file_sha256(partial) if partial.exists() else ""
        if received != sha256:
            _receive(url, partial, patience, progress)
            received = file_sha256(partial)
        _validator_file(partial).unlink(missing_ok=True)
        if received == sha256:
            partial.replace(target)
            return
        partial.unlink()
        logger.info("%s arrived damaged", url)
    raise DownloadError(f"{url} is not what was released: its sha256 is {received}, expected {sha256}")


def fetch_json(url: str, patience: Patience) -> Any:
    """Fetch a small JSON document; raises as `fetch`."""

    def read() -> Any:
        with _client(url, patience) as client:
            response = client.get(url)
            _check_status(response)
            return response.json()

    try:
        return _patiently(read, url, patience, lambda: 0)
    except ValueError as error:
        raise DownloadError(f"{url} is not JSON: {error}") from error


class _TryAgainError(Exception):
    """An answer that may be a better one next time."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asks to wait."""


def _patiently(
    attempt: Callable[[], _Result], url: str, patience: Patience, bytes_so_far: Callable[[], int]
) -> _Result:
    """Call `attempt` until it succeeds, fails for good, or patience is exhausted."""
    import httpx2  # takes 0.1 s, which a model that is already there need not pay

    unreached = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
    failures, furthest, reached = 0, bytes_so_far(), False
    while True:
        try:
            return attempt()
        except httpx2.UnsupportedProtocol as error:
            raise DownloadError(f"cannot fetch {url}: {error}") from error
        except (_TryAgainError, httpx2.TransportError) as error:
            if bytes_so_far() > furthest:
                furthest, failures = bytes_so_far(), 0
            failures += 1
            reached = reached or not isinstance(error, unreached)
            if failures >= (patience.attempts if reached else patience.connect_attempts):
                raise HostUnavailableError(f"no download from {url}: {_reason(error)}") from error
            logger.debug("%s: %s; trying again", url, _reason(error))
            asked = error.pause if isinstance(error, _TryAgainError) else 0.0
            patience.sleep(min(max(asked, patience.first_pause * 2 ** (failures - 1)), patience.longest_pause))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadError(f"cannot fetch {url}: {_reason(error)}") from error


def _receive(url: str, partial: Path, patience: Patience, progress: Progress | None) -> None:
    """Bring `partial` to the length that the server names, however often the connection drops."""
    with _client(url, patience) as client:
        _patiently(lambda: _receive_once(client, url, partial, progress), url, patience, lambda: _size(partial))


def _receive_once(client: httpx2.Client, url: str, partial: Path, progress: Progress | None) -> None:
    with client.stream("GET", url, headers=_resume_headers(partial)) as response:
        if response.status_code == 416:  # what is here is as long as what is offered, or longer, and not right
            partial.unlink(missing_ok=True)
        _check_status(response)
        done, total = _extent(response)
        if done == 0:
            partial.write_bytes(b"")  # first, lest the old bytes pass for those of the new validator
            _validator_file(partial).write_text(_validator(response.headers))
        with partial.open("ab") as stream:
            for chunk in response.iter_raw():  # raw: the sum is that of the bytes as they travel
                stream.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    if total is not None and done != total:
        raise _TryAgainError(f"{done} of {total} bytes arrived")


def _resume_headers(partial: Path) -> dict[str, str]:
    """Ask for what is missing; and for everything, if that is no longer the file that `partial` began with."""
    headers = {"Accept-Encoding": "identity"}
    if size := _size(partial):
        headers["Range"] = f"bytes={size}-"
        validator = _validator_file(partial)
        if validator.exists() and (tag := validator.read_text()):
            headers["If-Range"] = tag
    return headers


def _extent(response: httpx2.Response) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the file's whole length in bytes, None if unknown.

    That it begins where it was asked to is left to the sum of the whole.
    """
    if response.status_code != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    start = span.partition("-")[0]
    if not start.isdecimal():
        raise _TryAgainError("the server does not say which part of the file it sends")
    return int(start), int(total) if total.isdecimal() else None


def _validator(headers: Mapping[str, str]) -> str:
    """What If-Range may name (RFC 9110, 13.1.5): a strong ETag, else the date; "" if there is neither."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _check_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status in (408, 416, 429) or status >= 500:
        asked = response.headers.get("Retry-After", "")
        raise _TryAgainError(f"HTTP {status} {response.reason_phrase}", float(asked) if asked.isdecimal() else 0.0)
    if status not in (200, 206):
        raise RefusedError(f"{response.url} was refused with HTTP {status} {response.reason_phrase}".rstrip())


def _client(url: str, patience: Patience) -> httpx2.Client:
    import httpx2

    timeout = httpx2.Timeout(patience.read_timeout, connect=patience.connect_timeout)
    try:
        return httpx2.Client(follow_redirects=True, timeout=timeout)
    except (ValueError, ImportError, httpx2.InvalidURL) as error:  # what is wrong with a proxy's URL, or its kind
        raise HostUnavailableError(f"no download from {url}: proxy settings in the environment: {error}") from error


def _validator_file(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.etag")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: Exception) -> str:
    """An error in words; some of the client's have no message of their own."""
    return str(error) or type(error).__name__
