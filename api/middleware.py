"""Around every request: its id, its metrics, its log line, and what every answer's headers say."""

import os
import re
import time
from collections.abc import Callable
from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.head import allowing_head, answer_head
from api.journal import Answered, Journal
from api.metrics import Metrics

REQUEST_ID = "X-Request-Id"
SCOPE_KEY = "request_id"
"""Where a request's scope has its id."""
"""Where a request's id is in its scope."""
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: nothing may follow in version 00, and ff is none.
_TRACE = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<later>-.*)?"
)
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
_OTHER = "other"
_ID_BYTES = 16
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_VARIES = (b"vary", b"Accept-Encoding")
_MOMENTARY = (b"application/json", b"text/plain")
_NO_STORE = (b"cache-control", b"no-store")


def observed(
    app: ASGIApp,
    *,
    routes: frozenset[str],
    market_of: Callable[[str, str], str],
    metrics: Metrics,
    journal: Journal,
) -> ASGIApp:
    """The app with every answer counted, logged and named.

    `market_of` is the market that was asked about, by route and path; it makes up none, however long the path is.
    """
    under_way, ids = 0, list[bytes]()
    templates = [tuple(route.split("/")[1:]) for route in sorted(routes) if "{" in route]
    metrics.under_way.set_function(lambda: under_way)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = time.perf_counter()
        given: dict[bytes, bytes] = dict(scope["headers"])
        request_id = given.get(b"x-request-id")
        if request_id is None or not _PLAIN_ID.fullmatch(request_id):
            if not ids:
                ids.extend(_new_ids())
            request_id = ids.pop()
        cast("dict[str, Any]", scope)[SCOPE_KEY] = request_id
        status, version = 500, None
        path, method = scope["path"], scope["method"]

        async def send_named(message: Message) -> None:
            nonlocal status, version
            if message["type"] == "http.response.start":
                status = message["status"]
                told = dict(message["headers"])
                version = told.get(b"x-model-version")
                headers = [*message["headers"], (b"x-request-id", request_id), _NOSNIFF]
                if b"etag" in told:
                    # What has one comes in two encodings. Said here, for Litestar's CORS puts its Vary in place of any
                    # other.
                    headers.append(_VARIES)
                # JSON and figures are true for a moment; a page is as long as the service runs.
                if b"cache-control" not in told and told.get(b"content-type", b"text/plain").startswith(_MOMENTARY):
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
            route = scope.get("path_template")  # unless the router found the method wrong
            if route not in routes:
                route = _route(path, routes, templates)
            trace = None
            if b"traceparent" in given:
                trace = _trace(given[b"traceparent"], scope)
            answered = Answered(
                time.time(),
                time.perf_counter() - start,
                method if method in _METHODS else _OTHER,
                route,
                path,
                status,
                request_id,
                trace,
                scope.get("client"),
                version,
                market_of(route, path),
            )
            journal.add(answered)

    return handle


def request_id_of(scope: Scope) -> bytes:
    """The id of a request, as its answer's header names it."""
    return cast("dict[str, Any]", scope)[SCOPE_KEY]


def parts_of(path: str) -> list[str]:
    """What a path is made of, as the router parts it."""
    return [part for part in path.split("/") if part]


def _new_ids() -> list[bytes]:
    # Many at once: each call of the system costs more than the rest of naming a request.
    digits = os.urandom(256 * _ID_BYTES).hex().encode()
    return [digits[begin : begin + 2 * _ID_BYTES] for begin in range(0, len(digits), 2 * _ID_BYTES)]


def _trace(given: bytes, scope: Scope) -> tuple[str, str] | None:
    # The ids of the trace and the span (the client's) of which the request is a part, where it names just one.
    found = _TRACE.fullmatch(given) if sum(name == b"traceparent" for name, _ in scope["headers"]) == 1 else None
    if found is None or (found["later"] and given.startswith(b"00")):
        return None
    return found["trace"].decode(), found["span"].decode()


def _route(path: str, routes: frozenset[str], templates: list[tuple[str, ...]]) -> str:
    # One of the service's own, so that no client makes up a label. The router takes /livez/ and //livez for /livez,
    # and so does this.
    parts = parts_of(path)
    route = "/" + "/".join(parts)
    if route in routes and "{" not in route:
        return route
    for template in templates:
        if len(template) == len(parts) and all(
            wanted.startswith("{") or wanted == part for wanted, part in zip(template, parts, strict=True)
        ):
            return "/" + "/".join(template)
    return _OTHER
