"""uvicorn's HTTP protocol, with an eye on what its peer does not do.

uvicorn has no deadline for a request's head, no cap on its size, and no limit to idle connections or to answers that
nobody reads; an offer to upgrade costs a request its body, and a peer that closes its sending half its answer.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connections import BODY, END, HEAD, NEXT, NOTHING, READER, Connections, Waiting
from api.cycle import Cycle
from api.refusals import refusal

MOST_PIPELINED = 32
"""Requests on one connection that may wait for the answer to an earlier one."""
PROGRESS_BYTES = 1_024
"""So much of a body at once puts a connection behind those that are waited for in vain; a drip does not."""
_FRAMING = 9
"""Bytes of chunked framing that each byte of a body may cost: a chunk of one byte has five."""

_REASONS = {
    HEAD: "head_timeout",
    BODY: "body_timeout",
    NEXT: "idle",
    READER: "unread",
    END: "discarded",
}


def protocol_of(connections: Connections) -> type[HttpToolsProtocol]:
    """The class of some connections, for uvicorn's setting `http`."""
    return type("BoundConnection", (Connection,), {"all": connections})


class Connection(HttpToolsProtocol):
    """One connection: uvicorn's, with an eye on what its peer does not do."""

    all: ClassVar[Connections]

    waiting = HEAD
    deadline = 0.0
    answered = False
    """Whether any request of it was."""
    queue = 0
    """Which of the queues of those that are waited for it is in."""

    _in_head = _in_body = False
    _skipped = False
    """Whether this message is parsed and not served: it is refused, or begun again without an offer to upgrade."""
    _refusal: tuple[HTTPStatus, str, str] | None = None
    """Why a head that was read is not answered: the status, in words, and for the metric."""
    _last = False
    """Whether the next request is the last one of this connection."""
    _deaf = _told = False
    """Whether nothing that comes is looked at any more; whether its end was announced."""
    _framing = 0
    """Bytes of this message that are no body."""
    _came = _begun_in = 0
    """How many bytes came together last; and with the beginning of this message."""
    _hosts = 0
    """How many Host headers this message has."""
    _encoded = False
    """Whether its body is said to be in an encoding besides chunked."""
    _body_bytes = _unread_bytes = 0
    cycle: Cycle  # pyright: ignore[reportIncompatibleVariableOverride]
    _running: RequestResponseCycle | None = None
    """The request that is being answered; others may be in the queue behind it."""

    @property
    def holds(self) -> int:
        """The bytes of its bodies not yet answered and of its answers not yet read."""
        return self._body_bytes + self._unread_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head."""
        super().connection_made(transport)
        self.all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what it held, and tell the request that is being answered."""
        super().connection_lost(exc)
        if self._running is not None:
            # uvicorn tells only the last one, which may still be in the queue behind it.
            self._running.disconnected = True
            self._running.message_event.set()
        self._let_go(bodies=True, unread=True)
        self.all.closed(self)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a peer that has sent all and closed its half; the connection ends with the answer."""
        if self._deaf or self._in_head or self._in_body or not self._under_way():
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what is no HTTP or has no end."""
        if self._deaf:
            return
        self._framing += len(data)
        self._came = len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP/1.1.", "invalid")
            return
        if self._refusal is None and self._framing > self.all.head_limit:
            self._refusal = self._too_large()
        if self._refusal is not None:
            self._refuse(*self._refusal)
            return
        self.note()

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # A server that does not take up an offer to upgrade answers as if there were none (RFC 9110, 7.8). The
                # parser has stopped before the body: the message is begun again without the offer.
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("a tunnel is not offered")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in kept if token.lower() not in (b"upgrade", b"http2-settings"))
            if name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """Begin with a request's head."""
        super().on_message_begin()
        self._in_head, self._skipped, self._framing = True, self._refusal is not None, 0
        self._begun_in, self._hosts, self._encoded = self._came, 0, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, and note what is in question of it."""
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding":
            self._encoded |= value.lower() != b"chunked"
        elif name == b"expect":
            self.expect_100_continue |= value.lower() == b"100-continue"
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is refused or offers an upgrade."""
        self._in_head, self._in_body = False, True
        if self._refusal is None:
            self._refusal = self._objection()
        if self._refusal is not None or self.parser.should_upgrade():
            self._skipped = True
            return
        super().on_headers_complete()
        self.cycle.__class__ = Cycle  # uvicorn names its own where it makes one
        # What comes after the body (trailers) must not get among the headers of a request that is being answered.
        self.headers = []
        if self._last:
            self.cycle.keep_alive = False

    def _objection(self) -> tuple[HTTPStatus, str, str] | None:
        # What RFC 9112 has a server refuse and the parser lets pass: a peer in front may have read it otherwise.
        if self._encoded:
            return HTTPStatus.NOT_IMPLEMENTED, "Send the body plain or chunked, in no other encoding.", "invalid"
        if self._begun_in + self._framing > self.all.head_limit and self._head_size() > self.all.head_limit:
            return self._too_large()
        if not self.url.isascii():
            return HTTPStatus.BAD_REQUEST, "The address has bytes that belong percent-encoded.", "invalid"
        version = self.parser.get_http_version()
        if version == "1.0":
            self.expect_100_continue = False  # there is no such answer in it
        elif version != "1.1":
            return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "The service speaks HTTP/1.1.", "invalid"
        elif self._hosts != 1:
            return HTTPStatus.BAD_REQUEST, "The request needs one Host header.", "invalid"
        if len(self.pipeline) >= MOST_PIPELINED:
            return HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests wait on this connection.", "pipelined"
        return None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _too_large(self) -> tuple[HTTPStatus, str, str]:
        words = f"The request's line and headers are larger than {self.all.head_limit:,} bytes."
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, words, "head_size"

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Hold a part of the body until the request is answered."""
        size = len(body)
        if self._framing:
            self._framing = max(0, self._framing - _FRAMING * size)
        if self._skipped or self._deaf:
            return
        super().on_body(body)
        if not self.cycle.response_complete:
            self._body_bytes += size
            self.cycle.held += size
            if self.waiting is BODY and size >= PROGRESS_BYTES:
                self.all.progresses(self)
            self.all.hold(self, size)

    def on_message_complete(self) -> None:
        """Have the whole request."""
        self._in_body = False
        if not self._skipped:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that was answered before it was there."""
        # Not uvicorn's own, which would start a timer for each: deadlines are looked at together.
        self.server_state.total_requests += 1
        self.answered = True
        if not self._under_way():
            self._let_go(bodies=True)
        elif self._running is not None:
            self._let_go_of(self._running)  # others are in the queue, whose bodies are held on
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        self.note()

    def shutdown(self) -> None:
        """Close after what is under way, and what may be on its way."""
        if self._under_way() or self._told or self.transport.is_closing():
            super().shutdown()
        self._last = True
        self.all.end(self)

    def pause_writing(self) -> None:
        """Hold an answer until its peer has read it."""
        super().pause_writing()
        size = self.transport.get_write_buffer_size()
        self._let_go(unread=True)
        self._unread_bytes = size
        self.note()
        self.all.hold(self, size)

    def resume_writing(self) -> None:
        """Let go of an answer that was read."""
        super().resume_writing()
        self._let_go(unread=True)
        self.note()

    def look(self, now: float) -> None:
        """End the connection where its peer is overdue."""
        if self.transport.is_closing() and self.waiting not in (READER, END):
            # Closed, but for an end that nobody reads.
            self.waiting = READER
            self.all.waits(self)
        if self.waiting is NOTHING or now <= self.deadline:
            return
        if self._told:
            self.transport.abort()
        else:
            self.give_up(_REASONS[self.waiting])

    def give_up(self, reason: str) -> None:
        """End the connection, in words where its peer can still be told."""
        if self.waiting is HEAD and self._in_head and reason == _REASONS[HEAD]:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not arrive in time.", reason)
        elif self.waiting is BODY and not self.transport.is_closing():
            words = "The service has no room for a request that takes so long to arrive: try again in a second."
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, words, reason)
            if reason == "crowded":
                self.transport.close()  # at once, or there would be more of them than the limit
        else:
            self._abort(reason)

    def _under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def note(self) -> None:
        """See anew what the connection waits for."""
        waiting = self._waits_for()
        if waiting is not self.waiting:
            self.waiting = waiting
            if waiting is not NOTHING:
                self.all.waits(self)

    def _waits_for(self) -> Waiting:
        if self._told:
            return END
        if self.flow.write_paused:
            return READER
        if self._in_body:
            return BODY if self._under_way() else END
        if self._under_way():
            return NOTHING
        return HEAD if self._in_head or not self.answered else NEXT

    def _refuse(self, status: HTTPStatus, words: str, reason: str) -> None:
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        self.all.ended(reason)
        if self._under_way():
            if self.pipeline and self._in_body and not self._skipped:
                # Its own turn will not come: nobody would give it the rest of its body.
                self._let_go_of(self.pipeline.popleft()[0])
                before = self.pipeline[0][0] if self.pipeline else self._running
                self.cycle = cast(Cycle, before)  # pyright: ignore[reportIncompatibleVariableOverride]
                self._skipped = True
            cycle = self.cycle
            if self.pipeline or cycle.response_started or self._skipped or not self._in_body:
                # An earlier request is still to be answered, and answers come in order: end with that one.
                cycle.keep_alive = False
                self._in_body &= not self._skipped
                self.note()
                return
            # Its handler is told that the peer is gone; nothing of it may follow this answer.
            cycle.disconnected = True
            cycle.message_event.set()
        self._told = True
        self._let_go(bodies=True)
        self.transport.write(refusal(status, words, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.note()

    def _abort(self, reason: str) -> None:
        self.all.ended(reason)
        self._deaf, self.waiting = True, NOTHING
        self._let_go(bodies=True, unread=True)
        self.transport.abort()

    def _let_go_of(self, cycle: RequestResponseCycle) -> None:
        # Of one request's body. Where the connection was ended before the answer, nothing is held of it any more.
        size = min(cast(Cycle, cycle).held, self._body_bytes)
        self._body_bytes -= size
        self.all.hold(self, -size)

    def _let_go(self, *, bodies: bool = False, unread: bool = False) -> None:
        count = 0
        if bodies:
            count, self._body_bytes = count + self._body_bytes, 0
        if unread:
            count, self._unread_bytes = count + self._unread_bytes, 0
        if count:
            self.all.hold(self, -count)
