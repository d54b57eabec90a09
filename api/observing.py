"""Around every request: its id, its metrics, its log line."""

import os
import re
import time
from datetime import UTC, datetime

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.logs import Access, AccessLine
from api.metrics import Metrics

REQUEST_ID = "X-Request-Id"
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
_OTHER = "other"


def observed(app: ASGIApp, *, routes: frozenset[str], metrics: Metrics, access: Access) -> ASGIApp:
    """The app with every answer counted, logged and named."""
    under_way = 0
    metrics.under_way.set_function(lambda: under_way)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = _request_id(scope)
        status, version = 500, None

        async def send_named(message: Message) -> None:
            nonlocal status, version
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id)]
                message["headers"] = headers
                version = next((value for name, value in headers if name == b"x-model-version"), None)
            await send(message)

        path = scope["path"]
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        under_way += 1
        try:
            await app(scope, receive, send_named)
        finally:
            under_way -= 1
            seconds = time.perf_counter() - start
            client = scope.get("client")
            metrics.answered(method, path if path in routes else _OTHER, status, seconds)
            access(
                AccessLine(
                    time=datetime.now(UTC),
                    method=method,
                    path=path,
                    status=status,
                    milliseconds=round(1000 * seconds, 3),
                    request_id=request_id.decode(),
                    client=client[0] if client else None,
                    model_version=version.decode() if version else None,
                )
            )

    return handle


def _request_id(scope: Scope) -> bytes:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given if _PLAIN_ID.fullmatch(given) else os.urandom(16).hex().encode()
