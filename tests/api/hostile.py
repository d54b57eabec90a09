"""Peers that are slow, rude or broken, by the hundred: `python hostile.py KIND HOST PORT COUNT`, until it is ended.

At SIGTERM it prints one JSON object: how often it connected, how many connections the other side ended, and how many
answers had which status. It needs nothing but the standard library, so that it runs in any container.
"""

import asyncio
import contextlib
import itertools
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

EXAMPLE = (
    b'{"id":39331263,"accommodates":5,"room_type":"Entire home/apt","beds":2,"bedrooms":2,"bathrooms":1,'
    b'"neighbourhood":"Brooklyn","tv":true,"elevator":false,"internet":false,"latitude":40.65837,"longitude":-73.98402}'
)
JSON = b"Host: x\r\nContent-Type: application/json\r\n"
POST = b"POST /classify HTTP/1.1\r\n" + JSON
BATCH = b"POST /classify/batch?probabilities=true HTTP/1.1\r\n" + JSON

seen: Counter[str] = Counter()


def sized(head: bytes, body: bytes) -> bytes:
    """A whole request."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Peer:
    """A connection, and what this program counts of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send, and wait until it is on its way."""
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes, seconds: float = 0.2) -> None:
        """Send byte by byte, for ever."""
        for byte in itertools.cycle(data):
            await self.send(bytes([byte]))
            await asyncio.sleep(seconds)

    async def answer(self) -> bytes:
        """Read an answer and count its status; empty where there is none."""
        head = b""
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await self.reader.readuntil(b"\r\n\r\n")
        if not head:
            seen["no answer"] += 1
            return b""
        seen[head[9:12].decode()] += 1
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        return await self.reader.readexactly(length)

    async def closed(self) -> None:
        """Read to the end, whatever it is."""
        while await self.reader.read(65_536):
            pass


async def idle(peer: Peer) -> None:
    """Say nothing."""
    await peer.closed()


async def kept(peer: Peer) -> None:
    """Ask once, and keep the connection."""
    await peer.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await peer.answer()
    await peer.closed()


async def dripping_head(peer: Peer) -> None:
    """Never come to the end of a head."""
    await peer.send(POST)
    await _until_closed(peer, peer.drip(b"X: y\r\n"))


async def slow_body(peer: Peer) -> None:
    """Announce a body and send it byte by byte."""
    await peer.send(POST + b"Content-Length: 100000\r\n\r\n")
    await _until_closed(peer, peer.drip(b" "))


async def slow_batch(peer: Peer) -> None:
    """Send most of a large batch at once, and never the end."""
    await peer.send(BATCH + b"Content-Length: 9000000\r\n\r\n[" + b" " * 8_000_000)
    await peer.closed()


async def large_head(peer: Peer) -> None:
    """A header of a hundred megabytes."""
    await peer.send(POST + b"X: ")
    for _ in range(1_600):
        await peer.send(b"x" * 65_536)
    await peer.answer()


async def large_trailer(peer: Peer) -> None:
    """A chunked body with a trailer without end."""
    await peer.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n")
    for _ in range(1_600):
        await peer.send(b"X: " + b"x" * 65_536 + b"\r\n")
    await peer.answer()


async def large_body(peer: Peer) -> None:
    """A body of a hundred megabytes."""
    await peer.send(POST + b"Content-Length: 104857600\r\n\r\n")
    for _ in range(1_600):
        await peer.send(b" " * 65_536)
    await peer.answer()


async def unread(peer: Peer) -> None:
    """Ask for large answers, and read none."""
    transport = peer.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    body = b"[" + b",".join([EXAMPLE] * 8_000) + b"]"
    for _ in range(3):
        await peer.send(sized(BATCH, body))
    await asyncio.sleep(60)


async def nested(peer: Peer) -> None:
    """Bodies of brackets only."""
    for body in (b"[" * 900_000, b'{"a":' * 180_000, b"[" + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"]"):
        for head in (POST, BATCH):
            await peer.send(sized(head, body))
            await peer.answer()


async def half_closed(peer: Peer) -> None:
    """Close the sending half after the request, and wait for the answer."""
    await peer.send(sized(POST, EXAMPLE))
    peer.writer.write_eof()
    await peer.answer()


async def vanishing(peer: Peer) -> None:
    """Go away in the middle of a body."""
    await peer.send(POST + b"Content-Length: 1000\r\n\r\n" + EXAMPLE)
    await asyncio.sleep(0.05)


async def upgrading(peer: Peer) -> None:
    """Offer HTTP/2 with each request, as Java's HttpClient does."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
    for _ in range(20):
        await peer.send(POST + offer + b"Content-Length: %d\r\n\r\n" % len(EXAMPLE))
        await asyncio.sleep(0.01)
        await peer.send(EXAMPLE)
        await peer.answer()


async def pipelined(peer: Peer) -> None:
    """Many requests at once, no answer read."""
    transport = peer.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    await peer.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000)
    await asyncio.sleep(60)


KINDS: dict[str, Callable[[Peer], Awaitable[None]]] = {
    kind.__name__: kind
    for kind in (
        idle,
        kept,
        dripping_head,
        slow_body,
        slow_batch,
        large_head,
        large_trailer,
        large_body,
        unread,
        nested,
        half_closed,
        vanishing,
        upgrading,
        pipelined,
    )
}


async def _until_closed(peer: Peer, sending: Awaitable[None]) -> None:
    # An answer ends the sending: it is counted, and the rest read to its end.
    task = asyncio.ensure_future(sending)
    try:
        await peer.answer()
    finally:
        task.cancel()
        # Not awaited by itself: that this peer is cancelled meanwhile could not be told from the task's own end.
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Peer]:
    """A connection, closed afterwards."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 25)
    seen["connected"] += 1
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


async def again_and_again(kind: Callable[[Peer], Awaitable[None]], host: str, port: int) -> None:
    """Behave like that, and a second after the connection's end once more."""
    while True:
        try:
            async with connected(host, port) as peer:
                await kind(peer)
        except (OSError, asyncio.IncompleteReadError):
            seen["broken"] += 1
        await asyncio.sleep(1)


async def main(kind: str, host: str, port: int, count: int) -> None:
    """So many of a kind, until SIGTERM."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    tasks = [asyncio.create_task(again_and_again(KINDS[kind], host, port)) for _ in range(count)]
    print("started", flush=True)  # noqa: T201
    await done.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(seen), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
