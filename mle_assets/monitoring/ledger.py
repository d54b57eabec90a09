"""Which files of the log a market's tables were made from, in little room however many those are."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from mle_assets.places import Place
from prediction_log.files import LogFile, name_parts
from prediction_log.logs import NOTHING_FORGOTTEN

_NAME = "ledger.json"
Numbers = tuple[int, int]
"""From one number to another, both included."""


class Written(msgspec.Struct, frozen=True):
    """Of the files that one process wrote of one kind those that were taken; `last` is when the last was begun."""

    numbers: tuple[Numbers, ...]
    last: str


class Ledger(msgspec.Struct, frozen=True):
    """What was taken from the log so far: the files that are done, and which erasures were applied.

    `missing` are files between those that were taken that never were: the log removed them first, or an erasure left
    nothing of them.
    """

    taken: dict[str, Written] = {}
    forgotten: str = NOTHING_FORGOTTEN
    missing: frozenset[str] = frozenset()
    rows: dict[str, dict[int, int]] = {}
    """How many rows the tables have, by kind and day: to open them all for that would be to fetch them all."""
    files: frozenset[str] = frozenset()
    """The names of the files, in a ledger of before there was a log at a URL, which has many; empty once it is read."""

    @classmethod
    def read(cls, place: Place) -> "Ledger":
        """The ledger of a market's tables; an empty one before the first run."""
        try:
            ledger = msgspec.json.decode(place.read(_NAME), type=cls)
        except FileNotFoundError:
            return cls()
        return msgspec.structs.replace(ledger, taken=_joined(ledger.taken, ledger.files), files=frozenset())

    def write(self, place: Place) -> None:
        """Put it in place of the one before; after the tables, so that what it says was done is done."""
        place.write(_NAME, msgspec.json.encode(self))

    def has(self, file: LogFile) -> bool:
        """Whether a file was taken."""
        written = self.taken.get(_key(file.prefix, file.process))
        return written is not None and any(first <= file.number <= last for first, last in written.numbers)

    def next(
        self,
        there: Iterable[LogFile],
        done: Iterable[LogFile],
        gone: Iterable[LogFile],
        forgotten: str,
        first_day: str,
    ) -> "Ledger":
        """The ledger after a run that took these files of those that were there when it began, and found some gone.

        A process is forgotten when all its files are gone, with the tables that were made from them.
        """
        numbers = defaultdict[str, set[int]](set)
        for file in {*there}.difference(gone):
            numbers[_key(file.prefix, file.process)].add(file.number)
        taken = {
            key: written
            for key, written in _joined(self.taken, (file.name for file in done)).items()
            if key in numbers or written.last >= first_day
        }
        known = {
            key: _merged([*(taken[key].numbers if key in taken else ()), *((one, one) for one in numbers[key])])
            for key in {*taken, *numbers}
        }
        lost = defaultdict[str, set[int]](set)
        for file in gone:
            lost[_key(file.prefix, file.process)].add(file.number)
        for key, names in lost.items():
            # They were there, so what is next to them bounds a gap also where nothing else of their process is known.
            beside = {one + step for one in names for step in (-1, 1)} - names
            known[key] = _merged([*known.get(key, ()), *((one, one) for one in beside)])
        return Ledger(taken, forgotten, frozenset(_gaps(known)))


def _key(prefix: str, process: str) -> str:
    return f"{prefix}-{process}"


def _joined(taken: dict[str, Written], names: Iterable[str]) -> dict[str, Written]:
    added = defaultdict[str, list[tuple[int, str]]](list)
    for prefix, begun, process, number in map(name_parts, names):
        added[_key(prefix, process)].append((number, begun))
    nothing, joined = Written((), ""), dict(taken)
    for key, files in added.items():
        before = taken.get(key, nothing)
        numbers = _merged([*before.numbers, *((number, number) for number, _ in files)])
        joined[key] = Written(numbers, max(before.last, *(begun for _, begun in files)))
    return joined


def _merged(numbers: Iterable[Numbers]) -> tuple[Numbers, ...]:
    merged = list[Numbers]()
    for first, last in sorted(numbers):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _gaps(known: dict[str, tuple[Numbers, ...]]) -> Iterable[str]:
    """The files that a process wrote between two that are known and that are not: "predictions 3 to 3 of 0a1b2c3d"."""
    for key, numbers in known.items():
        prefix, _, process = key.rpartition("-")
        for (_, before), (after, _) in pairwise(numbers):
            yield f"{prefix} {before + 1} to {after - 1} of {process}"
