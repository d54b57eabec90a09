"""Structured logs: one JSON object a line, on standard output; never a listing's contents."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

FLUSH_SECONDS = 0.2

_encode = msgspec.json.Encoder().encode


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
        return _encode(line).decode()


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


class AccessLog:
    """Writes request lines straight to standard output: a logging record costs more than an inference.

    Lines go out together, FLUSH_SECONDS after the first of them at the latest, and when the process ends.
    """

    def __init__(self) -> None:
        """Wait for the first line."""
        self._waiting = False

    def __call__(self, line: AccessLine) -> None:
        """Write the line."""
        sys.stdout.buffer.write(_encode(line) + b"\n")
        if not self._waiting:
            self._waiting = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._waiting = False
        sys.stdout.buffer.flush()


def write_nothing(line: AccessLine) -> None:
    """Do not write the line."""
    del line
