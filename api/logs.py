"""Structured logs: one JSON object a line, on standard output; never a listing's contents."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

FLUSH_SECONDS = 0.2
FLUSH_LINES = 64
"""So many are encoded without keeping anybody waiting who notices."""

_encoder = msgspec.json.Encoder()


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time, level, logger and message, and its traceback where it has one."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encoder.encode(line).decode()


def configure_logs(level: str) -> None:
    """Send everything at or above a level to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class AccessLine(msgspec.Struct):
    """One request; `trace_id` and `span_id` are those of the client's `traceparent`."""

    time: datetime
    method: str
    path: str
    status: int
    milliseconds: float
    request_id: str
    trace_id: str | None
    span_id: str | None
    client: str | None
    model_version: str | None
    level: str = "info"
    logger: str = "api.access"


class Access(Protocol):
    """Takes the line of a request."""

    def __call__(self, line: AccessLine) -> None:
        """Write it, or do not."""
        ...

    def flush(self) -> None:
        """Have written what was taken."""
        ...


class AccessLog:
    """Writes request lines straight to standard output: a logging record costs more than an inference.

    Lines are encoded and go out together: FLUSH_LINES of them, those of FLUSH_SECONDS, and the last ones by `flush`.
    """

    def __init__(self) -> None:
        """Wait for the first line."""
        self._lines: list[AccessLine] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, line: AccessLine) -> None:
        """Write the line, soon."""
        self._lines.append(line)
        if len(self._lines) >= FLUSH_LINES:
            self._write()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the lines that wait, and have them leave this process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write()
        sys.stdout.buffer.flush()

    def _write(self) -> None:
        sys.stdout.buffer.write(_encoder.encode_lines(self._lines))
        self._lines.clear()


class NoAccessLog:
    """Writes nothing."""

    def __call__(self, line: AccessLine) -> None:
        """Do not write the line."""

    def flush(self) -> None:
        """There is nothing to write."""
