"""A download that ends in time, whatever the server does, or in one sentence on why there is none."""

import base64
import errno
import http.client
import re
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from mle_assets.listings.bad_snapshot import BadSnapshot

IDLE_SECONDS = 30.0
"""A server that says nothing for so long is given up."""
TOTAL_SECONDS = 900.0
"""A download that takes longer is given up, however steadily it trickles."""
MOST_BYTES = 4_000_000_000
"""A download that is larger is given up."""

_BLOCK = 1 << 16


class _TimeLimit:
    """Ends the connections of a download when its time is up, whatever they are waiting for."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.append(connection)
        if self.is_over:
            self._end()

    @contextmanager
    def running(self) -> Generator[None]:
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but to http(s) only: a server may not name a file of this machine."""

    def redirect_request(
        self, req: urllib.request.Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)  # pyright: ignore
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # pyright: ignore


def _opener(limit: _TimeLimit) -> urllib.request.OpenerDirector:
    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            limit.watch(self.sock)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            limit.watch(self.sock)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, req)

    # Only these: the default ones would follow a redirect to ftp.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        Http(),
        Https(),
        _HttpOnly(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def download(source: str, file: BinaryIO, idle_seconds: float, total_seconds: float) -> None:
    """Write what lies at an http(s) URL to a file; raises BadSnapshot where it does not arrive whole and in time."""
    request = _request(source)
    limit = _TimeLimit(total_seconds)
    took_too_long = f"takes longer than {total_seconds:g} s to download: fetch it by other means and give its path."
    received = 0
    try:
        with limit.running(), _opener(limit).open(request, timeout=min(idle_seconds, total_seconds)) as response:
            expected = response.length
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding not in ("identity", "gzip", "x-gzip", ""):
                raise BadSnapshot(
                    source, f"comes in the encoding {encoding}, which nobody asked for: fetch it and give its path."
                )
            while block := response.read(_BLOCK):
                received += len(block)
                if received > MOST_BYTES:
                    raise BadSnapshot(source, f"is larger than {MOST_BYTES:,} bytes, the most that is downloaded.")
                file.write(block)
            file.flush()
    except urllib.error.HTTPError as error:
        with error:
            raise BadSnapshot(source, _refused(error)) from error
    except http.client.IncompleteRead as error:
        if limit.is_over:
            raise BadSnapshot(source, took_too_long) from error
        raise BadSnapshot(source, f"broke off after {received + len(error.partial):,} bytes: try again.") from error
    except (OSError, http.client.HTTPException) as error:
        if limit.is_over:
            raise BadSnapshot(source, took_too_long) from error
        raise BadSnapshot(source, _unreachable(request, error, idle_seconds)) from error
    if limit.is_over:
        raise BadSnapshot(source, took_too_long)
    if expected is not None and received != expected:
        raise BadSnapshot(source, f"broke off after {received:,} of {expected:,} bytes: try again.")


def validator(source: str, seconds: float) -> str:
    """What a server says of the version of what lies at an http(s) URL, its ETag or date; empty where it says neither.

    Nothing is downloaded, and an address that cannot be asked about is left for `download` to say what is wrong with.
    """
    request, limit = _request(source), _TimeLimit(seconds)
    request.method = "HEAD"
    try:
        with limit.running(), _opener(limit).open(request, timeout=seconds) as response:
            headers = response.headers
    except urllib.error.HTTPError as error:
        error.close()  # it holds the answer
        return ""
    except (OSError, http.client.HTTPException):
        return ""
    version = headers.get("ETag") or headers.get("Last-Modified")
    return f"{version} {headers.get('Content-Length', '')}".strip() if version else ""


def _request(source: str) -> urllib.request.Request:
    """A request for a URL as people write it: with spaces, accents, a name and password."""
    try:
        parts = urllib.parse.urlsplit(source.strip())
        name, port = parts.hostname or "", parts.port
        host = f"[{name}]" if ":" in name else name.encode("idna").decode()
    except ValueError as error:
        raise BadSnapshot(source, "is no URL that can be read: check its host and port.") from error
    if not host:
        raise BadSnapshot(source, "names no host: check the address.")
    path, query = (re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part) for part in (parts.path or "/", parts.query))
    address = urllib.parse.urlunsplit(
        (
            parts.scheme,
            host if port is None else f"{host}:{port}",
            urllib.parse.quote(path, safe="/%:@!$&'()*+,;=~"),
            urllib.parse.quote(query, safe="/%:@!$&'()*+,;=~?[]"),
            "",
        )
    )
    request = urllib.request.Request(address, headers={"Accept-Encoding": "identity"})  # noqa: S310 (http or https)
    if parts.username is not None:
        pair = ":".join(urllib.parse.unquote(text or "") for text in (parts.username, parts.password))
        # Unredirected: where the server sends us next is not told the password.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    return request


def _refused(error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"is redirected in circles or to what is no http(s) address (HTTP {error.code}): check the address."
    said = f"cannot be downloaded (HTTP Error {error.code}: {error.reason})"
    if error.code in (401, 403, 407):
        return f"{said}: check whether it needs a password or has expired."
    if error.code >= 500 or error.code in (408, 429):
        return f"{said}: the server cannot give it now, try again later."
    return f"{said}: check the address."


def _unreachable(request: urllib.request.Request, error: Exception, idle_seconds: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    match cause:
        case OSError(errno=errno.ENOSPC):
            return "does not fit on the disk for temporary files: make room, or set TMPDIR to a folder on another disk."
        case socket.gaierror():
            return f"cannot be downloaded (the host {request.host} is not known): check the address and the network."
        case ConnectionRefusedError():
            return f"cannot be downloaded (nobody listens at {request.host}): check the address and the network."
        case TimeoutError():
            return f"cannot be downloaded (silence for {idle_seconds:g} s): check the network, or try again later."
        case ssl.SSLCertVerificationError():
            return f"cannot be downloaded (its certificate is refused: {cause.verify_message}): check the address."
        case ssl.SSLError():
            return f"cannot be downloaded ({request.host} speaks no TLS): check the port, or try http://."
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError():
            return "cannot be downloaded (the connection was closed without an answer): try again, check the address."
        case http.client.HTTPException():
            return f"cannot be downloaded (what answers at {request.host} speaks no HTTP): check the address and port."
        case _:
            return f"cannot be downloaded ({_reason(cause)}): check the address and the network."


def _reason(error: object) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
