"""Around every request: its id, its metrics, its log line, and what every answer's headers say."""

import os
import re
import time
from datetime import UTC, datetime

from litestar.status_codes import HTTP_200_OK
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.head import allowing_head, answer_head
from api.logs import Access, AccessLine
from api.metrics import Metrics

REQUEST_ID = "X-Request-Id"
HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
"""Asked several times a second by a gateway and an engine: what is as it should be is no line in the log."""
LONGEST = 200
"""How much of what a client chose is in its log line."""
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: nothing may follow in version 00, and ff is none.
_TRACE = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<later>-.*)?"
)
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
_OTHER = "other"
_ID_DIGITS = 32
_LOOKED_AT = frozenset({b"x-model-version", b"content-type", b"cache-control", b"etag"})
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_VARIES = (b"vary", b"Accept-Encoding")
_NO_STORE = (b"cache-control", b"no-store")


def observed(app: ASGIApp, *, routes: frozenset[str], metrics: Metrics, access: Access) -> ASGIApp:
    """The app with every answer counted, logged and named."""
    under_way, names = 0, _Names()
    metrics.under_way.set_function(lambda: under_way)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id, trace_id, span_id = names(scope)
        status, version = 500, None
        path, method = scope["path"], scope["method"]

        async def send_named(message: Message) -> None:
            nonlocal status, version
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id), _NOSNIFF]
                kept = False
                for name, value in message["headers"]:
                    if name not in _LOOKED_AT:
                        continue
                    if name == b"x-model-version":
                        version = value
                    elif name == b"content-type":
                        # JSON and figures are true for a moment; a page is as long as the service runs.
                        kept = kept or not value.startswith((b"application/json", b"text/plain"))
                    elif name == b"cache-control":
                        kept = True
                    else:
                        # What has an ETag comes in two encodings. Said here, for Litestar's CORS puts its Vary in
                        # place of any other.
                        headers.append(_VARIES)
                if not kept:
                    headers.append(_NO_STORE)
                message["headers"] = allowing_head(headers) if status == 405 or method == "OPTIONS" else headers
            await send(message)

        under_way += 1
        try:
            if method == "HEAD":
                await answer_head(app, scope, receive, send_named)
            else:
                await app(scope, receive, send_named)
        finally:
            under_way -= 1
            seconds = time.perf_counter() - start
            client = scope.get("client")
            route = scope.get("path_template")  # unless the router found the method wrong
            if route not in routes:
                route = _route(path, routes)
            if method not in _METHODS:
                method = _OTHER
            metrics.answered(method, route, status, seconds)
            if route not in HEALTH or status != HTTP_200_OK:
                access(
                    AccessLine(
                        datetime.now(UTC),
                        method,
                        path[:LONGEST],
                        status,
                        int(1_000_000 * seconds) / 1_000,
                        request_id.decode(),
                        trace_id,
                        span_id,
                        client[0][:LONGEST] if client else None,
                        version.decode() if version else None,
                    )
                )

    return handle


class _Names:
    """Names requests; the random digits of those that bring no name are asked for in blocks."""

    def __init__(self) -> None:
        self._digits, self._used = b"", 0

    def __call__(self, scope: Scope) -> tuple[bytes, str | None, str | None]:
        """The request's id, and the trace and the span (the client's) of which it is a part."""
        given = dict(scope["headers"])
        request_id = given.get(b"x-request-id")
        if request_id is None or not _PLAIN_ID.fullmatch(request_id):
            request_id = self._new()
        if b"traceparent" not in given or sum(name == b"traceparent" for name, _ in scope["headers"]) > 1:
            return request_id, None, None
        trace = given[b"traceparent"]
        found = _TRACE.fullmatch(trace)
        if found is None or (found["later"] and trace.startswith(b"00")):
            return request_id, None, None
        return request_id, found["trace"].decode(), found["span"].decode()

    def _new(self) -> bytes:
        begin, self._used = self._used, self._used + _ID_DIGITS
        if self._used > len(self._digits):
            self._digits, begin, self._used = os.urandom(4_096).hex().encode(), 0, _ID_DIGITS
        return self._digits[begin : self._used]


def _route(path: str, routes: frozenset[str]) -> str:
    # One of the service's own, so that no client makes up a label. The router takes /livez/ and //livez for /livez,
    # and so does this.
    route = "/" + "/".join(part for part in path.split("/") if part)
    return route if route in routes else _OTHER
