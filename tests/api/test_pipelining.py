"""Requests that wait on one connection for an earlier one: real sockets, an application that is told when to answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from api.connections import Connections
from api.metrics import Metrics
from api.protocol import protocol_of
from api.settings import Settings

BODY = b"x" * 50_000
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Service:
    """Answers one request for each that it is allowed to."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.arrived, self._allowed = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        self.arrived.release()
        await self._allowed.acquire()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    def answer(self) -> None:
        self._allowed.release()

    def held(self) -> int:
        [line] = [line for line in self.metrics.page().decode().splitlines() if line.startswith("api_held_bytes ")]
        return int(float(line.split()[1]))


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Service, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A service, and a connection to it."""
    service = Service()
    protocol = protocol_of(Connections(Settings(), service.metrics))
    config, state, loop = uvicorn.Config(service, log_config=None), ServerState(), asyncio.get_running_loop()
    config.load()
    server = await loop.create_server(lambda: protocol(config, state, {}, loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield service, reader, writer
    finally:
        writer.close()
        server.close()


def test_of_a_request_that_was_answered_nothing_is_held_while_others_wait_behind_it() -> None:
    async def story() -> list[int]:
        held = list[int]()
        async with connected() as (service, reader, writer):
            writer.write(REQUEST * 2)
            for _ in range(3):
                await service.arrived.acquire()
                service.answer()
                # As soon as one is answered another is sent: the connection never has nothing under way.
                writer.write(REQUEST)
                await reader.readuntil(b"{}")
                await service.arrived.acquire()
                held.append(service.held())
                service.arrived.release()
        return held

    held = asyncio.run(asyncio.wait_for(story(), 10))
    assert max(held) <= 2 * len(BODY), held


def test_what_is_held_is_let_go_with_the_last_answer_or_the_connection() -> None:
    async def story() -> None:
        async with connected() as (service, reader, writer):
            writer.write(REQUEST * 3)
            for _ in range(3):
                service.answer()
                await reader.readuntil(b"{}")
            while service.held():
                await asyncio.sleep(0.001)
            writer.write(REQUEST * 3)
            service.answer()
            await reader.readuntil(b"{}")
            for _ in range(5):
                await service.arrived.acquire()
            assert service.held() >= len(BODY)
            writer.close()
            for _ in range(2):
                service.answer()
            while service.held():
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(story(), 10))


@pytest.mark.parametrize(
    ("behind", "answers"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", 1),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnone\r\n", 1),
        (REQUEST + b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n", 2),
    ],
    ids=["no host", "no host and no body yet", "a broken head", "a broken body", "a broken body behind two"],
)
def test_what_is_refused_ends_the_connection_once_the_requests_before_it_are_answered(
    behind: bytes, answers: int
) -> None:
    async def story() -> bytes:
        async with connected() as (service, reader, writer):
            writer.write(REQUEST)
            await service.arrived.acquire()
            writer.write(behind)
            await asyncio.sleep(0.05)
            for _ in range(answers):
                service.answer()
            said = await reader.read()
            assert service.held() == 0
            return said

    said = asyncio.run(asyncio.wait_for(story(), 3))
    assert (said.count(b"HTTP/1.1 200"), said.count(b"HTTP/1.1 ")) == (answers, answers)
    assert said.count(b"connection: close") == 1
