"""Clients that do not behave, of plain sockets: each kind holds its connections as long as its block runs."""

import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from model_registry.listing import EXAMPLE

Address = tuple[str, int]
LISTING = json.dumps(EXAMPLE).encode()


@dataclass
class Peers:
    """The connections of one kind."""

    sockets: list[socket.socket] = field(default_factory=list)
    refused: int = 0
    """How many could not even connect."""

    def held(self) -> int:
        """How many the other side has not closed."""
        return sum(not _seen(one, select.POLLRDHUP) for one in self.sockets)

    def waiting(self) -> int:
        """How many the other side has neither answered nor closed."""
        return sum(not _seen(one, select.POLLRDHUP | select.POLLIN) for one in self.sockets)

    def send(self, data: bytes) -> None:
        """The same to each, as far as it goes without waiting."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


@contextmanager
def idle(address: Address, count: int) -> Iterator[Peers]:
    """Connect and say nothing."""
    with _connected(address, count) as peers:
        yield peers


@contextmanager
def dripping_headers(address: Address, count: int) -> Iterator[Peers]:
    """Begin a request and add one byte of a header each second."""
    with _connected(address, count) as peers:
        peers.send(b"POST /classify HTTP/1.1\r\nHost: x\r\nX-Drip: ")
        with _each_second(peers, b"a"):
            yield peers


@contextmanager
def slow_bodies(
    address: Address, count: int, *, size: int = 400, at_once: int = 0, path: str = "/classify"
) -> Iterator[Peers]:
    """Say that a body of `size` bytes comes, send `at_once` of it, then one byte each second."""
    with _connected(address, count) as peers:
        head = _head(path, size)
        peers.send(head + b" " * at_once)
        with _each_second(peers, b" "):
            yield peers


@contextmanager
def slow_h2_bodies(address: Address, count: int, streams: int) -> Iterator[Peers]:
    """Begin so many requests at once on each connection, over HTTP/2 with prior knowledge, and send no body."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def text(value: bytes) -> bytes:
        return bytes([len(value)]) + value

    # HPACK's static table: POST, http, then :path, :authority, content-type and content-length with values.
    fields = b"\x83\x86\x04" + text(b"/classify") + b"\x01" + text(b"x")
    fields += b"\x0f\x10" + text(b"application/json") + b"\x0f\x0d" + text(b"400")
    requests = b"".join(frame(1, 4, 2 * one + 1, fields) for one in range(streams))
    with _connected(address, count) as peers:
        peers.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + requests)
        yield peers


@contextmanager
def unread_answers(address: Address, count: int, *, listings: int = 2_000) -> Iterator[Peers]:
    """Ask for answers to big batches, one after the other, and never read one."""
    body = b"[" + b",".join([LISTING] * listings) + b"]"
    head = _head("/classify/batch?probabilities=true", len(body))
    with _connected(address, count, receive=4096) as peers:
        stop = threading.Event()

        def ask(one: socket.socket) -> None:
            with contextlib.suppress(OSError):
                one.settimeout(60)
                while not stop.is_set():
                    one.sendall(head + body)

        threads = [threading.Thread(target=ask, args=(one,), daemon=True) for one in peers.sockets]
        for thread in threads:
            thread.start()
        try:
            yield peers
        finally:
            stop.set()


def huge_header(address: Address, size: int = 100_000_000) -> tuple[bytes, int]:
    """Send one header of `size` bytes: the beginning of what was answered, and how many bytes were taken until then."""
    sent, answer = 0, b""
    with socket.create_connection(address, timeout=20) as one:
        try:
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Huge: ")
            while sent < size and not select.select([one], [], [], 0)[0]:
                sent += one.send(b"a" * 65_536)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            answer = one.recv(4096)
    return answer, sent


def huge_body(address: Address, size: int = 200_000_000, path: str = "/classify") -> tuple[bytes, int]:
    """Send a body of `size` bytes: the beginning of what was answered, and how many bytes were taken until then."""
    sent, answer = 0, b""
    with socket.create_connection(address, timeout=20) as one:
        try:
            one.sendall(_head(path, size))
            while sent < size and not select.select([one], [], [], 0)[0]:
                sent += one.send(b" " * 65_536)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            answer = one.recv(4096)
    return answer, sent


def half_closed(address: Address) -> bytes:
    """Send a whole request, say that nothing more comes, and read: all that was answered."""
    head = _head("/classify", len(LISTING))
    return exchanged(address, head + LISTING, half_close=True)


def upgrading_to_h2c(address: Address) -> bytes:
    """Ask as Java's HttpClient and `curl --http2` do: all that was answered."""
    head = (
        "POST /classify HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(LISTING)}\r\n\r\n"
    )
    return exchanged(address, head.encode() + LISTING)


def exchanged(address: Address, request: bytes, *, half_close: bool = False, seconds: float = 30) -> bytes:
    """Send something and read until the other side closes or is silent for two seconds after it has answered."""
    answer = b""
    with socket.create_connection(address, timeout=seconds) as one:
        one.sendall(request)
        if half_close:
            one.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while chunk := one.recv(65_536):
                answer += chunk
                one.settimeout(2)
    return answer


def _head(path: str, size: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode()


@contextmanager
def _connected(address: Address, count: int, *, receive: int | None = None) -> Iterator[Peers]:
    peers = Peers()
    try:
        for _ in range(count):
            one = socket.socket()
            if receive:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            one.settimeout(20)
            try:
                one.connect(address)
                peers.sockets.append(one)
            except OSError:
                one.close()
                peers.refused += 1
        yield peers
    finally:
        for one in peers.sockets:
            one.close()


@contextmanager
def _each_second(peers: Peers, data: bytes) -> Iterator[None]:
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(1):
            peers.send(data)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _seen(one: socket.socket, events: int) -> bool:
    """Whether some of the events, or an error, have come; what was received is left where it is."""
    watched = select.poll()
    watched.register(one, events)
    return bool(watched.poll(0))
