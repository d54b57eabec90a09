"""All open connections, and which of them is closed before its peer closes it.

A connection either waits for its peer or has its peer wait. Only the first kind is ever closed early: by its deadline
or, where there are too many or they hold too much, the one with which the least is lost, and of those the one that has
waited longest.
"""

import asyncio
import math
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from typing import Protocol

from api.descriptors import connections_at_most
from api.metrics import Metrics
from api.settings import Settings

LOOK_SECONDS = 0.5
"""How often deadlines are looked at: no connection has a timer of its own."""
LATE_SECONDS, SOON_SECONDS = 0.25, 0.02
"""A look that is so late was held up, as its peers were: what came meanwhile is read first, and looked soon after."""
DISCARD_SECONDS = 2.0
"""How long what a peer sends after its answer is thrown away: closed at once, it would lose the answer."""
SMALL_BYTES = 16_384
"""Who holds no more is never closed for it: a listing has some hundred, and is not refused for the sake of batches."""
ROOM_SECONDS = 0.25
"""How long a new connection of too many has at least, so that its request can be read, before any makes room."""
LAST_SECONDS = 0.5
"""How long the end waits for requests that may be on their way on open connections."""
PATIENCE_AT_THE_END = 0.8
"""The share of GRACE_SECONDS after which peers that are still waited for are left: then nothing has to be cancelled."""


class Waiting(IntEnum):
    """What a connection waits for; everything but NOTHING is up to its peer."""

    NOTHING = 0
    HEAD = 1
    BODY = 2
    NEXT = 3
    READER = 4
    END = 5


# Naming a member through its class takes Python 3.11 a tenth of a microsecond, and each request does it ten times.
NOTHING, HEAD, BODY, NEXT, READER, END = Waiting


class Connection(Protocol):
    """What is asked of a connection here; protocol.py has it."""

    loop: asyncio.AbstractEventLoop
    waiting: Waiting
    deadline: float
    answered: bool
    queue: int

    @property
    def holds(self) -> int:
        """The bytes of its bodies not yet answered and of its answers not yet read."""
        ...

    def note(self) -> None:
        """See anew what it waits for."""
        ...

    def look(self, now: float) -> None:
        """End it where its peer is overdue."""
        ...

    def give_up(self, reason: str) -> None:
        """End it, in words where its peer can still be told."""
        ...


def _queue(connection: Connection) -> int:
    # A peer that was never answered and sends no request loses nothing; one whose body is coming loses it.
    if connection.waiting is BODY:
        return 3
    if connection.waiting is READER:
        return 2
    return 1 if connection.answered and connection.waiting is not END else 0


class Connections:
    """All open connections; decides which one is closed where there are too many or they hold too much."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Wait for the first one; where the process may not open CONNECTION_LIMIT of them, fewer are the limit."""
        self.limit, self._burst = connections_at_most(settings.connection_limit)
        self.head_limit = settings.head_limit
        self._buffer_limit = settings.buffer_limit
        self._seconds = {
            HEAD: settings.head_seconds,
            # The service answers a late body with a 408; this is for one that it has stopped asking for.
            BODY: settings.body_seconds + DISCARD_SECONDS,
            NEXT: settings.idle_seconds,
            READER: settings.answer_seconds,
            END: DISCARD_SECONDS,
        }
        self._metrics = metrics
        self._open: dict[Connection, None] = {}
        # By how little is lost with them, and in each in the order in which they last began to wait, or got further.
        # Some do not wait at present.
        self._queues: tuple[dict[Connection, None], ...] = ({}, {}, {}, {})
        self._held = 0
        self._patience = settings.grace_seconds * PATIENCE_AT_THE_END
        self._ends = math.inf
        self._next_look: asyncio.TimerHandle | None = None
        self._held_up = False
        self._next_room: asyncio.TimerHandle | None = None
        self._new: set[Connection] = set()
        """Those that came while there were too many, or room was about to be made, since it was last seen to."""
        metrics.connections.set_function(lambda: len(self._open))
        metrics.connection_limit.set(self.limit)
        metrics.held_bytes.set_function(lambda: self._held)

    def opened(self, connection: Connection) -> None:
        """Take one in, which waits for its peer; past the limit another makes room for it, a moment later."""
        self._open[connection] = None
        self.waits(connection)
        more = len(self._open) - self.limit
        if more > 0 or self._next_room is not None:
            # Closed at once, of several that come together all but the last would lose requests that nobody has read;
            # so would one that comes while there is room, just before room is made for others.
            self._new.add(connection)
            if self._next_room is None:
                self._next_room = connection.loop.call_later(ROOM_SECONDS, self._make_room)
        if more > self._burst:
            next((one for one in self._waiting() if one is not connection), connection).give_up("crowded")
        if self._next_look is None:
            self._next_look = connection.loop.call_later(LOOK_SECONDS, self._look)

    def closed(self, connection: Connection) -> None:
        """Forget one."""
        self._open.pop(connection, None)
        self._new.discard(connection)
        self._queues[connection.queue].pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Note that from now on a connection waits for its peer, and until when it does."""
        connection.deadline = min(self._ends, connection.loop.time() + self._seconds[connection.waiting])
        self._queues[connection.queue].pop(connection, None)
        connection.queue = _queue(connection)
        self._queues[connection.queue][connection] = None

    def progresses(self, connection: Connection) -> None:
        """Note that a connection that is waited for got further; its deadline stays."""
        self._queues[connection.queue].pop(connection, None)
        self._queues[connection.queue][connection] = None

    def hold(self, connection: Connection, count: int) -> None:
        """Count bytes that a connection holds more (or fewer); past the limit those that wait for theirs are closed."""
        self._held += count
        if count <= 0 or self._held <= self._buffer_limit:
            return
        connection.note()
        for one in list(self._waiting()):
            if self._held <= self._buffer_limit:
                return
            if one.holds > SMALL_BYTES:
                one.give_up("memory")

    def end(self, connection: Connection) -> None:
        """The process ends: have no deadline outlast it, and wait only a moment for who has not begun a request."""
        now = connection.loop.time()
        if self._ends == math.inf:
            self._ends = now + self._patience
            self._seconds[HEAD] = self._seconds[NEXT] = LAST_SECONDS
        if connection.waiting in (HEAD, NEXT):
            connection.deadline = min(connection.deadline, now + LAST_SECONDS)
        connection.deadline = min(self._ends, connection.deadline)

    def ended(self, reason: str) -> None:
        """Count a connection that was ended before its peer ended it."""
        self._metrics.connection_ended(reason)

    def _waiting(self) -> Iterator[Connection]:
        return (one for queue in self._queues for one in list(queue) if one.waiting is not NOTHING)

    def _make_room(self) -> None:
        more = len(self._open) - self.limit
        # Whoever has just come and said nothing yet has until the next time, and the last one until another comes.
        silent = {one for one in self._new if one.waiting is HEAD and not one.answered}
        spared = silent.union(islice(reversed(self._open), 1))
        self._new.clear()
        for one in islice((one for one in self._waiting() if one not in spared), max(0, more - len(silent))):
            one.give_up("crowded")
            more -= 1
        loop = asyncio.get_running_loop()
        self._next_room = loop.call_later(ROOM_SECONDS, self._make_room) if more > 0 else None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        # Once: where the event loop is always late, deadlines count all the same.
        late = self._next_look is not None and now - self._next_look.when() > LATE_SECONDS
        self._held_up = late and not self._held_up
        if self._held_up:
            self._next_look = loop.call_later(SOON_SECONDS, self._look)
            return
        for connection in list(self._open):
            connection.look(now)
        self._next_look = loop.call_later(LOOK_SECONDS, self._look) if self._open else None
