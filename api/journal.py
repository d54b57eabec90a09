"""What was answered, counted and logged some dozens at a time: done one by one, it would cost each answer more."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
from litestar.status_codes import HTTP_200_OK

from api.logs import AccessLine, AccessLog
from api.metrics import Metrics

FLUSH_SECONDS = 0.2
FLUSH_ANSWERS = 64
"""So many are written without keeping anybody waiting who notices."""
HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
"""Asked several times a second by a gateway and an engine: what is as it should be is no line in the log."""
LONGEST = 200
"""How much of what a client chose is in its log line."""
_NO_TRACE = (None, None)


class Answered(msgspec.Struct, gc=False):
    """One answer, as it was given."""

    time: float
    """Of its end, in seconds since 1970."""
    seconds: float
    method: str
    route: str
    path: str
    status: int
    request_id: bytes
    trace: tuple[str, str] | None
    """The ids of the client's trace and span."""
    client: tuple[str, int] | None
    version: bytes | None
    """That of the model that answered."""
    market: str
    """The market that was asked about: one that is served, or the default; empty for a route that has none."""


class Journal:
    """Takes answers one by one; counts and logs them together.

    FLUSH_ANSWERS of them, those of FLUSH_SECONDS, all of them before `/metrics` tells its figures, and the last ones
    by `flush`. Lines that standard output does not take are counted and gone.
    """

    def __init__(self, metrics: Metrics, access: AccessLog | None) -> None:
        """Write to these; where there is no access log, only count."""
        self._metrics, self._access = metrics, access
        self._answers: list[Answered] = []
        self._timer: asyncio.TimerHandle | None = None
        metrics.before_page = self._settle

    def add(self, answered: Answered) -> None:
        """Count and log it, soon."""
        self._answers.append(answered)
        if len(self._answers) >= FLUSH_ANSWERS:
            self._settle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Count and log what waits, and have it leave this process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._settle()
        if self._access:
            with suppress(OSError):  # what was taken waits until it can leave; what is not taken is counted
                self._access.flush()

    def _settle(self) -> None:
        answers, self._answers = self._answers, []
        for one in answers:
            self._metrics.answered(one.method, one.route, one.status, one.seconds, one.market)
        if self._access:
            lines = [_line(one) for one in answers if one.route not in HEALTH or one.status != HTTP_200_OK]
            try:
                self._access.write(lines)
            except OSError:  # a full disk, or nobody who reads: no answer depends on its line
                self._metrics.lines_lost(len(lines))


def _line(answered: Answered) -> AccessLine:
    trace, client, version = answered.trace or _NO_TRACE, answered.client, answered.version
    # By their places, which takes half the time.
    return AccessLine(
        datetime.fromtimestamp(answered.time, UTC),
        answered.method,
        answered.path[:LONGEST],
        answered.status,
        int(1_000_000 * answered.seconds) / 1_000,
        answered.request_id.decode(),
        trace[0],
        trace[1],
        client[0][:LONGEST] if client else None,
        version.decode() if version else None,
        answered.market,
    )
