"""The history in an object store, and the champion's pointer that follows it.

An event is committed by creating the object of its number, which only one of all writers can. The pointer is derived
from that: where its writer was killed in between, whoever writes next brings it up.
"""

import re
from contextlib import suppress

import msgspec

from model_registry.history import Champion, Event, HistoryDamaged, read_champion
from model_registry.object_seen import SeenObjects
from model_registry.primitives import Present
from model_registry.store import MOST_POINTER, written
from storage.objects import Changed, Objects
from storage.waiting import AT_ONCE, each

FOLDER = "history"
POINTER = "champion.json"
CURE = "`models verify --repair` writes it anew from the history, as every writer does"

_NAME = re.compile(FOLDER + r"/(\d{10})\.json")


class ObjectHistory:
    """One market's events and its champion's pointer; of any thread's use."""

    def __init__(self, objects: Objects, seen: SeenObjects) -> None:
        """Nothing is asked of the store before the first call."""
        self._objects, self._seen = objects, seen
        self._events: dict[int, Event] = {}
        """Those that were read; an event never changes."""

    def champion(self) -> Champion | None:
        """What the pointer says, by one conditional request; raises HistoryDamaged."""
        content = self._seen.read(POINTER, MOST_POINTER)
        return None if content is None else read_champion(content, CURE)

    def events(self) -> list[Event]:
        """All events, oldest first; raises HistoryDamaged."""
        return self._read(self._sequences())

    def present(self) -> Present:
        """The last event's number and the champion that the history leads to, whatever the pointer says."""
        sequences = self._sequences()
        # A refusal says nothing of how its champion became it: from the last event back to that one.
        for end in range(len(sequences), 0, -AT_ONCE):
            for event in reversed(self._read(sequences[max(0, end - AT_ONCE) : end])):
                if event.action != "refusal":
                    return Present(sequences[-1], Champion.of(event))
        return Present(sequences[-1] if sequences else 0, None)

    def record(self, event: Event) -> bool:
        """Create the event's object; False where there is another one of its number."""
        try:
            self._objects.create(_name(event.sequence), msgspec.json.encode(event))
        except FileExistsError:
            return False
        self._events[event.sequence] = event
        return True

    def follow(self) -> None:
        """Have the pointer say what the history leads to; raises HistoryDamaged where the history lacks its end."""
        present = self.present()
        pointer = self._pointer()
        if pointer is not None and pointer.sequence > present.sequence:
            # Another writer was at work between the two reads, or the history has lost what the pointer still says.
            present = self.present()
            if pointer.sequence == present.sequence + 1:
                self.record(pointer.event())
                present = self.present()
            if pointer.sequence > present.sequence:
                raise HistoryDamaged(
                    f"history/ ends with event {present.sequence}, and champion.json is of event {pointer.sequence}: "
                    "restore the objects between from a back-up"
                )
        if present.champion is not None and pointer != present.champion:
            self.point(present.champion)

    def point(self, champion: Champion) -> None:
        """Have the pointer name a champion of the history, unless it names a later one."""
        content = written(champion)
        while True:
            with suppress(FileExistsError, Changed):
                try:
                    there = self._objects.read_if_changed(POINTER, None, MOST_POINTER)
                except FileNotFoundError:
                    self._objects.create(POINTER, content)
                    return
                assert there is not None  # noqa: S101 (without a tag nothing is "not modified")
                if there.content == content:
                    return
                with suppress(HistoryDamaged):
                    if read_champion(there.content).sequence > champion.sequence:
                        return
                self._objects.replace(POINTER, content, there.tag)
                return

    def is_there(self) -> bool:
        """Whether anything was ever decided."""
        return bool(self._sequences())

    def _pointer(self) -> Champion | None:
        # One that cannot be read says nothing, and is written anew.
        with suppress(HistoryDamaged):
            return self.champion()
        return None

    def _sequences(self) -> list[int]:
        names = (_NAME.fullmatch(entry.name) for entry in self._objects.entries(f"{FOLDER}/"))
        return [int(name[1]) for name in names if name]

    def _read(self, sequences: list[int]) -> list[Event]:
        unseen = [sequence for sequence in sequences if sequence not in self._events]
        if len(unseen) > 1:
            self._events.update(zip(unseen, each(self._get, unseen), strict=True))
        elif unseen:
            self._events[unseen[0]] = self._get(unseen[0])
        return [self._events[sequence] for sequence in sequences]

    def _get(self, sequence: int) -> Event:
        name = _name(sequence)
        try:
            event = msgspec.json.decode(self._objects.read(name, MOST_POINTER), type=Event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HistoryDamaged(f"{name} is damaged ({error}): restore it from a back-up") from error
        if event.sequence != sequence:
            raise HistoryDamaged(f"{name} is damaged (it is event {event.sequence}): restore it from a back-up")
        return event


def _name(sequence: int) -> str:
    return f"{FOLDER}/{sequence:010d}.json"
