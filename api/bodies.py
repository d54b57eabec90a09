"""Reading a request's body: whole, in time, and no larger than it may be."""

import asyncio
from typing import Any

from litestar import MediaType, Request
from litestar.exceptions import HTTPException
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_408_REQUEST_TIMEOUT,
    HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
)

from api.faults import cut


async def json_body(request: Request[Any, Any, Any], *, limit: int, seconds: float) -> bytes:
    """The body of a request that says it is JSON, of at most `limit` bytes.

    Raises 415 for another kind, 413 for a larger one, 408 for one that is not there after `seconds`, and 400 where the
    peer went away before that.
    """
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != MediaType.JSON:
        raise HTTPException(
            detail=f"Send Content-Type: application/json, not {cut(content_type) or 'none'}.",
            status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise HTTPException(
            detail="Send the body as it is, without a Content-Encoding.", status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE
        )
    announced = request.headers.get("Content-Length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _whole(request, limit)
    except TimeoutError:
        raise HTTPException(
            detail=f"The body did not arrive within {seconds:g} s.", status_code=HTTP_408_REQUEST_TIMEOUT
        ) from None


async def _whole(request: Request[Any, Any, Any], limit: int) -> bytes:
    parts, size, more = list[bytes](), 0, True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise HTTPException(detail="The peer left before its body was there.", status_code=HTTP_400_BAD_REQUEST)
        more = message["more_body"]
        parts.append(message["body"])
        size += len(message["body"])
        if size > limit:
            raise _too_large(limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        detail=f"The body is larger than {limit:,} bytes.", status_code=HTTP_413_REQUEST_ENTITY_TOO_LARGE
    )
