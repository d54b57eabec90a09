"""uvicorn's request and answer, with an ordinary answer written in one piece and its head made in less time.

uvicorn writes head and body apart, which are two calls of the system and two packets; and it searches each header's
name and value by itself for what may not stand there. Most headers are those of the answer before, and need that once.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

_BY_UVICORN = frozenset({b"connection", b"transfer-encoding"})
"""An answer with one of these, or without a length, is left to uvicorn whole."""
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
"""What no value may have in it (RFC 9110, 5.5)."""


class _Names(dict[bytes, bytes | None]):
    """Names of headers as they are written; none for one that is left to uvicorn."""

    def __missing__(self, name: bytes) -> bytes | None:
        lowered = name.lower()
        self[name] = None if lowered in _BY_UVICORN or HEADER_RE.search(name) else b"%b: " % lowered
        return self[name]


_names = _Names()

_OF_ONE_ANSWER = frozenset({b"content-length", b"x-request-id"})
_MOST_LINES = 256
_lines: dict[tuple[bytes, bytes], bytes] = {}
"""Headers that were found in order, as they are written: but for two, an answer has those of the one before it."""


def _line(header: tuple[bytes, bytes]) -> bytes | None:
    name, value = header
    written = _names[name]
    if written is None or len(value.translate(None, _CONTROLS)) != len(value):
        return None
    line = b"%b%b\r\n" % (written, value)
    if name not in _OF_ONE_ANSWER:
        if len(_lines) >= _MOST_LINES:  # the date is another one each second
            _lines.clear()
        _lines[header] = line
    return line


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    held = 0
    """The bytes of its body that its connection holds until it is answered."""
    _head: bytes | None = None
    """The head of an ordinary answer, until its body is there."""

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        if self._head is not None and message["type"] == "http.response.body":
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            if self._sent_whole(self._head, message):
                return
        elif message["type"] == "http.response.start":
            self._head = self._ordinary(message)
            if self._head is not None:
                self.response_started, self.waiting_for_100_continue = True, False
                return
        await super().send(message)

    def _ordinary(self, message: Any) -> bytes | None:
        if self.response_started or self.disconnected:
            return None
        length, parts = None, [STATUS_LINE[message["status"]]]
        for header in (*self.default_headers, *message["headers"]):
            line = _lines.get(header)
            if line is None:
                line = _line(header)
                if line is None:
                    return None
                if header[0] == b"content-length":
                    length = header[1]
            parts.append(line)
        if length is None:
            return None
        self.expected_content_length, self.chunked_encoding = int(length), False
        parts.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(parts)

    def _sent_whole(self, head: bytes, message: Any) -> bool:
        # Writes the head, and the body with it if that is all of it; whether nothing is left for uvicorn.
        self._head = None
        if self.disconnected:
            return True
        body = message.get("body", b"")
        if len(body) != self.expected_content_length or message.get("more_body") or self.scope["method"] == "HEAD":
            self.transport.write(head)
            return False
        self.transport.write(head + body)
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True
