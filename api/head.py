"""HEAD on whatever GET reads: the same status and headers, and no body."""

from typing import cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


def allowing_head(headers: Headers) -> Headers:
    """The headers, with HEAD among the methods that they allow if GET is."""
    return [
        (name, value.replace(b"GET", b"GET, HEAD")) if name == b"allow" and b"HEAD" not in value else (name, value)
        for name, value in headers
    ]


async def answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer a HEAD request as it would a GET, and send what it says without its body.

    The app gets a scope of its own, for the server goes by the method in the one it made. Which route answered is
    written back.
    """

    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.body":
            if message["more_body"]:
                return
            message["body"] = b""
        await send(message)

    read = cast("Scope", {**scope, "method": "GET"})
    try:
        await app(read, receive, send_headers)
    finally:
        if "path_template" in read:
            scope["path_template"] = read["path_template"]
