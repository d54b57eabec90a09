"""Who may ask: with keys set, everything that answers about listings or models needs one."""

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

KEY_HEADER = "X-API-Key"
KEY_NEEDED = f"A key is needed, in the header {KEY_HEADER} or as a bearer token."
_BEARER = "bearer "


def key_guard(keys: tuple[str, ...]) -> list[Guard]:
    """The guard that lets a request with one of the keys pass, or none where there are no keys."""
    if not keys:
        return []
    known = [key.encode() for key in keys]

    def require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get(KEY_HEADER, "").strip()
        authorization = connection.headers.get("Authorization", "")
        if not given and authorization.lower().startswith(_BEARER):
            given = authorization[len(_BEARER) :].strip()
        # Every key is compared, each in constant time: the time taken tells nothing about any.
        if not sum(hmac.compare_digest(given.encode(), key) for key in known):
            raise NotAuthorizedException(
                KEY_NEEDED,
                headers={"WWW-Authenticate": "Bearer"},
            )

    return [require_key]
