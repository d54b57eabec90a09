"""Reading a request's body: whole, in time, and no larger than it may be."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, cast

from litestar import MediaType
from litestar.exceptions import HTTPException
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_408_REQUEST_TIMEOUT,
    HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
)
from litestar.types import HTTPReceiveMessage, HTTPScope, Receive

from api.validation_errors import cut

LAST_LOOK_SECONDS = 0.05
"""What an overdue body gets on top: where the process itself was held up, the body lies in the socket, not yet read."""

_JSON = MediaType.JSON.encode()


async def json_body(scope: HTTPScope, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """The body of a request that says it is JSON, of at most `limit` bytes.

    Raises 415 for another kind, 413 for a larger one, 408 for one that is not there after `seconds`, and 400 where the
    peer went away before that.
    """
    headers = dict(reversed(list(scope["headers"])))  # of several, the first counts
    content_type = headers.get(b"content-type", b"")
    if content_type != _JSON:
        _must_be_json(content_type.decode("latin-1"))
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise HTTPException(
            detail="Send the body as it is, without a Content-Encoding.", status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE
        )
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    receiving = cast("Coroutine[Any, Any, HTTPReceiveMessage]", receive())
    message: HTTPReceiveMessage | None = None
    waits_for = None
    try:
        waits_for = receiving.send(None)
    except StopIteration as there:
        message = cast("HTTPReceiveMessage", there.value)
        if message["type"] == "http.request" and not message["more_body"] and len(message["body"]) <= limit:
            return message["body"]
    # Most bodies come with their heads. Only for the others there is a deadline: one costs as much as an answer.
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as timeout:
            overdue = loop.call_later(seconds, lambda: timeout.reschedule(loop.time() + LAST_LOOK_SECONDS))
            try:
                return await _whole(message or await _go_on(receiving, waits_for), receive, limit)
            finally:
                overdue.cancel()
    except TimeoutError:
        raise HTTPException(
            detail=f"The body did not arrive within {seconds:g} s.", status_code=HTTP_408_REQUEST_TIMEOUT
        ) from None


@coroutine
def _go_on(begun: Coroutine[Any, Any, HTTPReceiveMessage], waits_for: Any) -> Generator[Any, Any, HTTPReceiveMessage]:
    # The rest of a coroutine that was begun by hand, and the future at which it stopped.
    try:
        yield waits_for
    except BaseException as error:  # it is cancelled, or late: the coroutine is to know
        begun.throw(error)
        raise
    return (yield from begun)  # type: ignore[misc]


async def _whole(message: HTTPReceiveMessage, receive: Receive, limit: int) -> bytes:
    parts, size = list[bytes](), 0
    while True:
        if message["type"] != "http.request":
            raise HTTPException(detail="The peer left before its body was there.", status_code=HTTP_400_BAD_REQUEST)
        parts.append(message["body"])
        size += len(message["body"])
        if size > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        message = cast("HTTPReceiveMessage", await receive())


def _must_be_json(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != MediaType.JSON:
        raise HTTPException(
            detail=f"Send Content-Type: application/json, not {cut(kind) or 'none'}.",
            status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
        )


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        detail=f"The body is larger than {limit:,} bytes.", status_code=HTTP_413_REQUEST_ENTITY_TOO_LARGE
    )
