"""What Litestar does for its own handlers, for a route that is plain ASGI: methods, query parameters, the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar._asgi.routing_trie.types import PathParameterSentinel
from litestar._asgi.utils import is_valid_host, wrap_in_exception_handler
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException, ValidationException
from litestar.handlers import ASGIRouteHandler
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from litestar.types import ASGIApp, ExceptionHandlersMap, HTTPScope, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

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


@dataclass(frozen=True)
class Found:
    """What the router finds for a path and a method."""

    route: ASGIApp
    handler: Any
    parameters: dict[str, Any]
    template: str
    exception_handlers: ExceptionHandlersMap


def found_once(app: Litestar, is_frequent: Callable[[str], bool], method: str) -> ASGIApp:
    """The app with what its router finds for frequent paths and a method found once; all else goes its usual way.

    The router looks at a path part by part each time, and what answers exceptions stands around it and around every
    message. Here that is called when there is an exception. `is_frequent` must hold for few paths: they are kept.
    """
    usual: ASGIApp = app.asgi_handler
    if app.cors_config is not None:
        return usual  # which answers by itself around the router
    known, valid = dict[str, Found](), lru_cache(64)(is_valid_host)

    def find(path: str) -> Found:
        route, handler, _, parameters, template = app.asgi_router.handle_routing(path=path, method=method)
        known[path] = Found(route, handler, parameters, template, handler.resolve_exception_handlers())
        return known[path]

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != method or scope.get("root_path"):
            await usual(scope, receive, send)
            return
        path = scope["path"]
        found = known.get(path)
        if found is None:
            if not is_frequent(path):
                await usual(scope, receive, send)
                return
            found = find(path)
        host = next((value for name, value in scope["headers"] if name == b"host"), None)
        if host is not None and not valid(host):
            await usual(scope, receive, send)
            return
        scope["path_params"], scope["path_template"] = found.parameters, found.template
        scope["route_handler"] = found.handler
        try:
            await found.route(scope, receive, send)
        except Exception as error:
            ScopeState.from_scope(scope).exception_handlers = found.exception_handlers
            await wrap_in_exception_handler(_raising(error))(scope, receive, send)

    return handle


class _OfAnyMethod(dict[str, Any]):
    """The path parameters of a plain ASGI route, whichever method they are looked up under."""

    def __missing__(self, _: str) -> Any:
        return self["asgi"]


def give_parameters(app: Litestar, *path: str) -> None:
    """Let a plain ASGI route have path parameters; "{}" stands for one in its path.

    Litestar 2.25 keeps them once for all methods and looks them up under the request's: each is a KeyError.
    """
    node = app.asgi_router.root_route_map_node
    for part in path:
        node = node.children[PathParameterSentinel if part == "{}" else part]
    node.path_parameters = _OfAnyMethod(node.path_parameters)  # type: ignore[assignment]


def _raising(error: Exception) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return app


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
