"""An answer written in one piece is, byte for byte, the one that uvicorn writes."""

import asyncio
import logging
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.cycle import Cycle

Written = tuple[list[bytes], bool, list[str], bool]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = list[bytes](), False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def answered(kind: type[RequestResponseCycle], method: str, keep_alive: bool, messages: list[Any]) -> Written:
    """What is written, whether the connection is closed, what was raised, and whether the answer is complete."""
    transport, raised, complete = Transport(), list[str](), list[bool]()

    async def send_all() -> None:
        cycle = RequestResponseCycle(
            scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
            transport=transport,
            flow=FlowControl(transport),
            logger=logging.getLogger("test"),
            access_logger=logging.getLogger("test"),
            access_log=False,
            default_headers=[(b"date", b"Wed, 25 Nov 2026 20:00:00 GMT")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: complete.append(True),
        )
        cycle.__class__ = kind
        for message in messages:
            try:
                await cycle.send(message)
            except RuntimeError as error:
                raised.append(str(error))

    asyncio.run(send_all())
    return transport.written, transport.closed, raised, complete == [True]


names = st.sampled_from([b"x-model-version", b"Content-Type", b"x id", b"connection", b"transfer-encoding", b"x\n"])
values = st.sampled_from([b"1", b"chunked", b"close", b"keep-alive", b"a\tb", b"a\nb", b"a\rb", b"a\x00", b"\xe4", b""])
bodies = st.sampled_from([b"", b"{}", b"0123456789"])
heads = st.builds(
    lambda status, headers, length: {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, *([] if length is None else [(b"content-length", length)])],
    },
    st.sampled_from([200, 204, 304, 400, 503]),
    st.lists(st.tuples(names, values), max_size=4),
    st.sampled_from([None, b"0", b"2", b"10"]),
)
parts = st.builds(
    lambda body, more: {"type": "http.response.body", "body": body, "more_body": more}, bodies, st.booleans()
)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    keep_alive=st.booleans(),
    messages=st.one_of(
        st.tuples(heads, parts), st.tuples(heads, parts, parts), st.lists(st.one_of(heads, parts), max_size=4)
    ),
)
@settings(max_examples=600, deadline=None)
def test_the_bytes_the_end_and_the_errors_are_uvicorns(method: str, keep_alive: bool, messages: list[Any]) -> None:
    ours, theirs = (answered(kind, method, keep_alive, list(messages)) for kind in (Cycle, RequestResponseCycle))
    assert ours[1:] == theirs[1:]
    # ASGI has a head sent with the first part of its body, and an answer that failed has no certain bytes.
    if not theirs[2] and any(message["type"] == "http.response.body" for message in messages):
        assert b"".join(ours[0]) == b"".join(theirs[0])


def test_an_ordinary_answer_is_one_piece() -> None:
    head = {"type": "http.response.start", "status": 200, "headers": ((b"content-length", b"2"), (b"X-A", b"b"))}
    body = {"type": "http.response.body", "body": b"{}", "more_body": False}
    told = b"HTTP/1.1 200 OK\r\ndate: Wed, 25 Nov 2026 20:00:00 GMT\r\ncontent-length: 2\r\nx-a: b\r\n\r\n{}"
    written, closed, raised, complete = answered(Cycle, "POST", True, [head, body])
    assert [piece for piece in written if piece] == [told]
    assert (closed, raised, complete) == (False, [], True)
