"""Structured logs: one JSON object a line, on standard output; never a listing's contents."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

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
    market: str
    level: str = "info"
    logger: str = "api.access"


class AccessLog:
    """Writes request lines straight to standard output: a logging record costs more than an inference."""

    def write(self, lines: list[AccessLine]) -> None:
        """Write lines; they leave this process with `flush` or when there are many."""
        sys.stdout.buffer.write(_encoder.encode_lines(lines))

    def flush(self) -> None:
        """Have what was written leave this process."""
        sys.stdout.buffer.flush()
