"""Which connection is closed where there are too many: real bookkeeping over connections that only say how they are."""

import asyncio
import time
from collections.abc import Callable

import pytest

from api.connections import BODY, HEAD, LATE_SECONDS, NEXT, NOTHING, SOON_SECONDS, Connections, Waiting
from api.metrics import Metrics
from api.settings import Settings

LIMIT = 10
MOMENT = 0.05


@pytest.fixture(autouse=True)
def short_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new connection has until it may be closed."""
    monkeypatch.setattr("api.connections.ROOM_SECONDS", MOMENT)


class Peer:
    """A connection as its peer leaves it; ends when it is given up."""

    deadline, queue, holds, looks = 0.0, 0, 0, 0

    def __init__(self, connections: Connections, name: str) -> None:
        self.loop, self.name, self.ended = asyncio.get_running_loop(), name, False
        self.waiting: Waiting = HEAD
        self.answered = False
        self._connections = connections
        connections.opened(self)

    def becomes(self, waiting: Waiting) -> "Peer":
        """Wait for something else from now on; who waits for the next request was answered."""
        self.waiting, self.answered = waiting, self.answered or waiting is NEXT
        if waiting is not NOTHING:
            self._connections.waits(self)
        return self

    def note(self) -> None:
        """Nothing changes by itself."""

    def look(self, now: float) -> None:
        """Count the looks: no deadline passes in these tests."""
        assert now <= self.loop.time()
        self.looks += 1

    def give_up(self, reason: str) -> None:
        """End, as soon as the event loop comes to it."""
        assert reason == "crowded"
        self.ended, self.waiting = True, NOTHING
        self.loop.call_soon(self._connections.closed, self)


async def given_up(*, before: dict[str, Waiting], come: list[str], then: Callable[[Peer], object]) -> list[str]:
    """Who is given up when some come to the others, and a moment later have done what they came for."""
    connections = Connections(Settings(connection_limit=LIMIT), Metrics())
    peers = [Peer(connections, name).becomes(waiting) for name, waiting in before.items()]
    new = [Peer(connections, name) for name in come]
    await asyncio.sleep(0)
    for peer in new:
        then(peer)
    await asyncio.sleep(3 * MOMENT)
    return [peer.name for peer in (*peers, *new) if peer.ended]


@pytest.mark.parametrize(
    ("before", "then", "expected"),
    [
        ([NEXT] * LIMIT, NOTHING, ["0", "1", "2"]),
        ([NEXT] * LIMIT, NEXT, ["0", "1", "2"]),
        ([NEXT] * LIMIT, HEAD, ["0", "a", "b"]),
        ([NEXT] * 8 + [HEAD] * 2, NOTHING, ["0", "8", "9"]),
        ([BODY] * 9 + [NEXT], NOTHING, ["0", "1", "9"]),
        ([NOTHING] * 8 + [NEXT] * 2, BODY, ["8", "9", "a"]),
    ],
    ids=["asking", "answered", "silent", "strangers first", "bodies last", "who is being answered stays"],
)
def test_room_is_made_by_those_with_whom_the_least_is_lost_once_the_new_ones_could_say_what_they_want(
    before: list[Waiting], then: Waiting, expected: list[str]
) -> None:
    there = {str(number): waiting for number, waiting in enumerate(before)}

    assert asyncio.run(given_up(before=there, come=list("abc"), then=lambda peer: peer.becomes(then))) == expected


def test_where_all_are_being_answered_the_first_that_is_makes_room() -> None:
    async def ended() -> list[bool]:
        connections = Connections(Settings(connection_limit=LIMIT), Metrics())
        peers = [Peer(connections, str(number)).becomes(NOTHING) for number in range(LIMIT + 1)]
        await asyncio.sleep(3 * MOMENT)
        assert not any(peer.ended for peer in peers)
        peers[4].becomes(NEXT)
        await asyncio.sleep(3 * MOMENT)
        return [peer.ended for peer in peers]

    assert asyncio.run(ended()) == [number == 4 for number in range(LIMIT + 1)]


def test_past_what_there_are_descriptors_for_a_new_connection_makes_room_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.connections.connections_at_most", lambda wanted: (wanted, 2))

    async def ended() -> list[str]:
        connections = Connections(Settings(connection_limit=LIMIT), Metrics())
        peers = [Peer(connections, str(number)).becomes(NEXT) for number in range(LIMIT + 4)]
        return [peer.name for peer in peers if peer.ended]

    assert asyncio.run(ended()) == ["0", "1"]


def test_who_comes_while_there_is_room_has_a_moment_though_room_is_made_for_others() -> None:
    async def ended() -> list[str]:
        connections = Connections(Settings(connection_limit=LIMIT), Metrics())
        peers = [Peer(connections, str(number)).becomes(NEXT) for number in range(LIMIT + 1)]
        # Room is to be made; meanwhile two leave by themselves, and a stranger comes before another is one too many.
        for peer in peers[:2]:
            connections.closed(peer)
        peers += [Peer(connections, "stranger"), Peer(connections, "asks").becomes(NOTHING)]
        await asyncio.sleep(1.5 * MOMENT)
        assert not any(peer.ended for peer in peers)
        peers[-2].becomes(NEXT)
        await asyncio.sleep(2 * MOMENT)
        return [peer.name for peer in peers if peer.ended]

    assert asyncio.run(ended()) == ["2"]


def test_who_came_past_what_there_are_descriptors_for_has_a_moment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.connections.connections_at_most", lambda wanted: (wanted, 1))

    async def ended() -> list[str]:
        connections = Connections(Settings(connection_limit=LIMIT), Metrics())
        peers = [Peer(connections, str(number)).becomes(NEXT) for number in range(LIMIT)]
        peers += [Peer(connections, "asks").becomes(NOTHING), Peer(connections, "silent")]
        await asyncio.sleep(0)
        assert [peer.name for peer in peers if peer.ended] == ["0"]
        connections.closed(peers[1])
        peers.append(Peer(connections, "asks too").becomes(NOTHING))
        await asyncio.sleep(1.5 * MOMENT)
        return [peer.name for peer in peers if peer.ended]

    assert asyncio.run(ended()) == ["0"]


def test_where_nobody_waits_a_new_connection_past_the_descriptors_is_itself_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.connections.connections_at_most", lambda wanted: (wanted, 0))

    async def ended() -> list[str]:
        connections = Connections(Settings(connection_limit=LIMIT), Metrics())
        peers = [Peer(connections, str(number)).becomes(NOTHING) for number in range(LIMIT)]
        peers.append(Peer(connections, "new"))
        await asyncio.sleep(0)
        assert not any(peer.ended for peer in peers[:-1])
        return [peer.name for peer in peers if peer.ended]

    assert asyncio.run(ended()) == ["new"]


def test_after_the_service_was_held_up_what_came_meanwhile_is_read_before_anybody_is_overdue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.connections.LOOK_SECONDS", MOMENT)

    async def looks() -> list[int]:
        peer, counted = Peer(Connections(Settings(), Metrics()), "one"), list[int]()
        time.sleep(MOMENT + 2 * LATE_SECONDS)
        for _ in range(3):
            await asyncio.sleep(0)
        counted.append(peer.looks)
        await asyncio.sleep(2 * SOON_SECONDS)
        counted.append(peer.looks)
        return counted

    assert asyncio.run(looks()) == [0, 1]
