"""What Litestar does for its own handlers, for a route that is plain ASGI: methods, query parameters, the answer."""

from typing import Any

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException, ValidationException
from litestar.handlers import ASGIRouteHandler
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from litestar.types import ExceptionHandlersMap, HTTPScope, Send

Headers = tuple[tuple[bytes, bytes], ...]


class ASGIRoute(ASGIRouteHandler):
    """A route that is plain ASGI and takes POST."""

    def on_registration(self, app: Litestar) -> None:
        """Look up what answers its exceptions: Litestar says that it does so once, and does it with each request."""
        super().on_registration(app)
        self._exception_handlers = super().resolve_exception_handlers()

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask the guards about a POST; other methods are refused or told of before, as on Litestar's own routes."""
        if connection.scope.get("method") == "POST":
            await super().authorize_connection(connection)

    def resolve_exception_handlers(self) -> ExceptionHandlersMap:
        """What answers the exceptions that the handler raises."""
        return self._exception_handlers


async def answer_other_method(scope: HTTPScope, send: Send) -> None:
    """For a route that takes POST, answer OPTIONS with that; raises 405 for any other method."""
    if scope["method"] != "OPTIONS":
        raise MethodNotAllowedException(headers={"Allow": "POST, OPTIONS"})
    await send(
        {"type": "http.response.start", "status": HTTP_204_NO_CONTENT, "headers": [(b"allow", b"OPTIONS, POST")]}
    )
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def flag(scope: HTTPScope, name: str) -> bool:
    """The value of a query parameter that is true or false, by default false; raises 400 where it is neither."""
    if not scope["query_string"]:
        return False
    given = ASGIConnection[Any, Any, Any, Any](scope).query_params.getall(name, [])
    if not given:
        return False
    try:
        return msgspec.convert(given[-1], bool, strict=False)
    except msgspec.ValidationError as error:
        raise ValidationException(extra=[{"message": str(error), "key": name}]) from None


async def send_json(send: Send, content: bytes, headers: Headers) -> None:
    """Send an answer that is JSON already."""
    headers = (*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": HTTP_200_OK, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
