"""An answer to what is not passed on to the application, as it is written to a connection that ends with it."""

import os
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from api.schemas import Problem


def refusal(status: HTTPStatus, words: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An answer that says in words why there is no other one; `headers` are the server's own."""
    body = msgspec.json.encode(Problem(int(status), words))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        f"x-request-id: {os.urandom(16).hex()}\r\nconnection: close\r\n"
    )
    for name, value in headers:
        head += f"{name.decode()}: {value.decode()}\r\n"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        head += "retry-after: 1\r\n"
    return head.encode() + b"\r\n" + body
