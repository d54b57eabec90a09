"""What happened to the champion: decisions, the pointer and the append-only history."""

from datetime import datetime
from typing import Literal

import msgspec

Action = Literal["promotion", "refusal", "rollback"]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a challenger becomes champion, the reason in one sentence, and the numbers behind it."""

    promote: bool
    reason: str
    numbers: dict[str, float] = {}


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of history.jsonl: what was decided about `version`, and which version was champion before."""

    sequence: int
    action: Action
    at: datetime
    version: str
    previous: str | None
    decision: Decision
    run_id: str | None
    actor: str


class Champion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """champion.json: the version in production, and all of the event that put it there.

    It holds the whole event so that a history line lost to a crash can be written again from it.
    """

    version: str
    promoted_at: datetime
    decision: Decision
    run_id: str | None
    actor: str
    action: Action
    previous: str | None
    sequence: int

    @classmethod
    def of(cls, event: Event) -> "Champion":
        """The pointer that an event sets."""
        return cls(
            version=event.version,
            promoted_at=event.at,
            decision=event.decision,
            run_id=event.run_id,
            actor=event.actor,
            action=event.action,
            previous=event.previous,
            sequence=event.sequence,
        )

    def event(self) -> Event:
        """The event that set this pointer."""
        return Event(
            sequence=self.sequence,
            action=self.action,
            at=self.promoted_at,
            version=self.version,
            previous=self.previous,
            decision=self.decision,
            run_id=self.run_id,
            actor=self.actor,
        )


def champions(events: list[Event]) -> list[str]:
    """The versions that were champion and were not rolled back from, oldest first; the last is the champion.

    A promotion adds its version. A rollback takes away those that came after the one it returns to; where
    it goes to one that was never champion, or was rolled back from, it adds that one instead.
    """
    standing: list[str] = []
    for event in events:
        if event.action == "rollback" and event.version in standing:
            last = len(standing) - 1 - standing[::-1].index(event.version)
            del standing[last + 1 :]
        elif event.action != "refusal":
            standing.append(event.version)
    return standing


class HistoryDamaged(Exception):
    """champion.json or history.jsonl holds something that this code did not write."""


def read_champion(
    content: bytes,
    cure: str = "remove it, see with `models history` which version was the champion, and make it that again with "
    "`models promote` (`models --market ...` where there are several markets)",
) -> Champion:
    """The pointer in the content of champion.json; raises HistoryDamaged for anything else."""
    try:
        return msgspec.json.decode(content, type=Champion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryDamaged(f"champion.json is damaged ({error}): {cure}") from error


def whole_lines(content: bytes) -> bytes:
    """The content of history.jsonl without the line a killed writer left unfinished."""
    return content[: content.rfind(b"\n") + 1]


def read_events(content: bytes, champion: Champion | None) -> list[Event]:
    """All events, oldest first, with the champion's own where a killed writer did not come to append it."""
    try:
        events = [msgspec.json.decode(line, type=Event) for line in whole_lines(content).splitlines()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HistoryDamaged(f"history.jsonl is damaged ({error}): restore it from a back-up") from error
    if champion is not None and champion.sequence > (events[-1].sequence if events else 0):
        events.append(champion.event())
    return events
