"""A release host on the loopback interface that behaves, or misbehaves as a script says."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    range: str | None
    if_range: str | None


class Handler(BaseHTTPRequestHandler):
    """One request; `offer` answers it as a good server does."""

    host: ClassVar["ReleaseHost"]

    def do_GET(self) -> None:
        host = self.host
        path = self.path
        host.requests.append(Request(path, self.headers["Range"], self.headers["If-Range"]))
        if path not in host.files:
            self.send_error(404)
            return
        behave = host.script.pop(0) if host.script else Handler.offer
        with suppress(ConnectionError):  # the client hung up
            behave(self, host.files[path])

    def offer(self, body: bytes, last: int | None = None) -> None:
        """Send the body or the part of it asked for, of which only the first `last` bytes."""
        self.send(self.begin(body)[:last])

    def begin(self, body: bytes) -> bytes:
        """Promise the body or the part of it asked for; returns what is to be sent."""
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        start = self._start(tag)
        if start > 0 and start >= len(body):
            self.send_error(416)
            return b""
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        return body[start:]

    def send(self, data: bytes) -> None:
        """Send bytes of a body."""
        self.host.sent += len(data)  # first: the client may be done before this thread goes on
        self.wfile.write(data)
        self.wfile.flush()

    def _start(self, tag: str) -> int:
        asked, condition = self.headers["Range"], self.headers["If-Range"]
        if asked is None or condition not in (None, tag):
            return 0
        return int(asked.removeprefix("bytes=").partition("-")[0])

    def log_message(self, format: str, *args: object) -> None:
        pass


Behaviour: TypeAlias = Callable[[Handler, bytes], object]


@dataclass
class ReleaseHost:
    """A running host: what it offers, how it answers next, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> body."""
    script: list[Behaviour] = field(default_factory=list)
    """How the next requests for a file are answered; after that they are answered well."""
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies sent so far."""
    closing: threading.Event = field(default_factory=threading.Event)

    def count(self, ending: str) -> int:
        """How often a path with this ending was asked for."""
        return sum(request.path.endswith(ending) for request in self.requests)


@contextmanager
def release_host() -> Iterator[ReleaseHost]:
    """Run a host for the duration of the block."""
    host = ReleaseHost()
    handler = type("BoundHandler", (Handler,), {"host": host})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        host.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            host.closing.set()
            server.shutdown()
            thread.join()


def drop_after(n_bytes: int) -> Behaviour:
    """Promise everything, send `n_bytes` and hang up."""
    return lambda handler, body: handler.offer(body, n_bytes)


def stall_after(n_bytes: int) -> Behaviour:
    """Send `n_bytes` and then nothing, without hanging up."""

    def stall(handler: Handler, body: bytes) -> None:
        handler.offer(body, n_bytes)
        handler.host.closing.wait(30)

    return stall


def answer(status: int, **headers: str) -> Behaviour:
    """Answer with a status and no file; underscores in header names stand for dashes."""

    def refuse(handler: Handler, body: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return refuse


def ignore_range(handler: Handler, body: bytes) -> None:
    """Send the whole file whatever part is asked for."""
    claim_length(len(body))(handler, body)


def claim_length(length: int) -> Behaviour:
    """Send the whole file, and say that it has `length` bytes."""

    def claim(handler: Handler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.send(body)

    return claim


def without_length(handler: Handler, body: bytes) -> None:
    """Send the whole file without saying how long it is."""
    handler.send_response(200)
    handler.end_headers()
    handler.send(body)


def wrong_part(handler: Handler, body: bytes) -> None:
    """Answer any request for a part with a part that begins one byte later."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {len(body) // 2 + 1}-{len(body) - 1}/{len(body)}")
    handler.end_headers()
    handler.send(body[len(body) // 2 + 1 :])


def only_a_part(n_bytes: int) -> Behaviour:
    """Answer with a part of at most `n_bytes`, as RFC 9110 allows where a part was asked for."""

    def answer_part(handler: Handler, body: bytes) -> None:
        start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        part = body[start : start + n_bytes]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.send(part)

    return answer_part


def damaged(handler: Handler, body: bytes) -> None:
    """Send the file with its last byte changed."""
    claim_length(len(body))(handler, body[:-1] + bytes([body[-1] ^ 1]))


def slowly(seconds: float, n_parts: int = 20) -> Behaviour:
    """Send the file in parts over this time."""

    def trickle(handler: Handler, body: bytes) -> None:
        rest = handler.begin(body)
        step = len(rest) // n_parts + 1
        for at in range(0, len(rest), step):
            handler.send(rest[at : at + step])
            time.sleep(seconds / n_parts)

    return trickle
