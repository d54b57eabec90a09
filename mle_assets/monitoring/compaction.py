"""From the prediction log's files to tables: every whole record of a market once, whatever is killed or removed when.

Each row knows the file of the log that it is from. A file that is still written is read again each time, and its rows
put in place of those that it had; one that is done is read once more and then named in the ledger. So a run that was
killed leaves nothing to be repaired: what it did not come to is done by the next one.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mle_assets.monitoring.ledger import Ledger
from mle_assets.monitoring.reading import ByDay, Funnel, Portion, portions, read_portion
from mle_assets.monitoring.tables import DAY, SCHEMAS, DayTables, Kind
from mle_assets.places import Place, replace_file
from prediction_log.erasing import Forgetting
from prediction_log.files import FEEDBACK, PREDICTIONS, LogFile
from prediction_log.logs import Log
from prediction_log.record import Forgotten

PREFIXES: dict[Kind, str] = {"answers": PREDICTIONS, "feedback": FEEDBACK}
"""How the files of the log begin that a kind of table is made from."""

_LATEST = "latest.json"
_ANSWERED_ONCE = ["time", "request_id", "index"]
_ONCE: dict[Kind, list[str]] = {
    "answers": _ANSWERED_ONCE,
    "feedback": [*_ANSWERED_ONCE, "price", "category", "observed_at"],
}
"""Two rows that are the same in these are one: a client may use an id again, but not in the same microsecond.

All that one request tells has one time, so feedback that says something else corrects what was told before it.
"""


class Compaction(msgspec.Struct, frozen=True):
    """What a run did: its funnels, the files it read, the rows erased from tables of before, and what all tables hold.

    `missing` are files that are missing since this run.
    """

    answers: Funnel
    feedback: Funnel
    files_done: int
    files_open: int
    erased: int
    rows: int
    feedback_rows: int
    days: int
    missing: tuple[str, ...]

    @property
    def damaged(self) -> int:
        """The lines of answers and feedback that nobody can read."""
        return sum(funnel.cut + funnel.unknown for funnel in (self.answers, self.feedback))

    def write(self, folder: Path) -> None:
        """Write latest.json beside the tables."""
        replace_file(folder / _LATEST, msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read latest.json."""
        return msgspec.json.decode((folder / _LATEST).read_bytes(), type=cls)


class Look(NamedTuple):
    """What a log has at a moment: its files and what tells its erasures from others."""

    files: list[LogFile]
    digest: str

    @classmethod
    def at(cls, log: Log, since: float = 0.0) -> "Look":
        """Look at a log, as `Log.files` does; the erasures first, so that later ones are new to whoever looks again."""
        digest = log.erasures().digest
        return cls(log.files(since), digest)


def news(look: Look, place: Place, begun_until: float = np.inf) -> str | None:
    """A name for what the log has that the tables in a place do not: files that are done, erasures; None for nothing.

    None as well while no such file was begun until a moment, unless there are no tables yet. The same news have the
    same name, however often one looks.
    """
    ledger = Ledger.read(place)
    new = [file for file in _untaken(look, ledger) if not file.open]
    if look.digest == ledger.forgotten and (
        not new or (ledger.taken and all(file.started > begun_until for file in new))
    ):
        return None
    return hashlib.sha256("\n".join([look.digest, *sorted(file.name for file in new)]).encode()).hexdigest()[:16]


def compact(log: Log, place: Place, market: str, *, keep_days: int, now: float) -> Compaction:
    """Bring a market's tables up to date with the log, and remove those of days that are `keep_days` old.

    Files are taken a portion at a time, and named in the ledger once they are in the tables: a run that is killed goes
    on from there. Raises OSError where the log cannot be read or the tables cannot be written.
    """
    with place.alone():
        ledger, tables, look = Ledger.read(place), DayTables(place), Look.at(log)
        untaken, first_day = _untaken(look, ledger), int(now // DAY) - keep_days + 1
        first = f"{np.datetime64(first_day, 'D')}".replace("-", "")
        # What was forgotten since is to be erased from all tables; what was before, from what is new.
        everywhere = look.digest != ledger.forgotten
        forgetting = _Forgetting(log.erasures().forgotten)
        if everywhere:
            forgetting.learn(tables.of_day("answers", day) for day in tables.days("answers"))
        into = _Into(tables, forgetting, {kind: dict(ledger.rows.get(kind, {})) for kind in PREFIXES})
        done, gone = list[LogFile](), list[LogFile]()

        def take(kind: Kind, portion: list[LogFile], *, everywhere: bool) -> None:
            read = read_portion(log, kind, portion, market)
            # What was read of a file before it was gone stays.
            found = [file for file in portion if file not in read.gone]
            into.take(kind, read, found, everywhere=everywhere)
            gone.extend(read.gone)
            done.extend(file for file in found if not file.open)

        # Feedback first: once the answers are erased, nothing tells any longer whose it was.
        kinds: tuple[Kind, ...] = ("feedback", "answers")
        for kind in kinds:
            files = [file for file in untaken if file.prefix == PREFIXES[kind]]
            *parts, last = portions(files)
            for portion in parts:
                take(kind, portion, everywhere=False)
                # Whoever comes to the end tells of erasures and of what is missing.
                so_far = ledger.next(look.files, done, gone, ledger.forgotten, first)
                msgspec.structs.replace(so_far, missing=ledger.missing, rows=into.rows).write(place)
            take(kind, last, everywhere=everywhere)
        _expire(tables, first_day)
        written = ledger.next(look.files, done, gone, look.digest, first)
        written = msgspec.structs.replace(written, rows={kind: tables.rows(kind, into.rows[kind]) for kind in PREFIXES})
        written.write(place)
        return Compaction(
            answers=into.funnels["answers"],
            feedback=into.funnels["feedback"],
            files_done=len(done),
            files_open=len(untaken) - len(done) - len(gone),
            erased=into.erased,
            rows=sum(written.rows["answers"].values()),
            feedback_rows=sum(written.rows["feedback"].values()),
            days=len(written.rows["answers"]),
            missing=tuple(sorted(written.missing - ledger.missing)),
        )


def _untaken(look: Look, ledger: Ledger) -> list[LogFile]:
    return [file for file in look.files if not ledger.has(file)]


class _Forgetting:
    """Which rows are to be erased; knows which few are worth asking about."""

    def __init__(self, forgotten: Sequence[Forgotten]) -> None:
        self._forgetting = Forgetting(forgotten)
        self._requests = {one.request_id for one in forgotten if one.request_id is not None}
        self._listings = {one.listing_id for one in forgotten if one.listing_id is not None}
        self._answered = set[str]()

    def learn(self, tables: Iterable[Any]) -> bool:
        """See whose answers are to be erased: what was told of them goes with them. Whether there are more of them."""
        before = len(self._answered)
        if self._listings:
            for rows in tables:
                erased = rows.filter(pa.array(self.erases("answers", rows)))
                self._answered.update(erased["request_id"].to_pylist())
        return len(self._answered) > before

    def erases(self, kind: Kind, rows: Any) -> NDArray[np.bool_]:
        """Which rows of a table are to be erased: (n,)."""
        erased = np.zeros(rows.num_rows, dtype=bool)
        suspect = _is_in(rows["request_id"], self._requests | self._answered)
        if kind == "answers":
            suspect |= _is_in(rows["id"], self._listings)
        columns = ["time", "request_id", "index", *(["id"] if kind == "answers" else [])]
        for place in np.flatnonzero(suspect).tolist():
            time, request_id, index, *listing = (rows[name][place].as_py() for name in columns)
            number = None if index < 0 else index
            erased[place] = (
                self._forgetting.erases_prediction(time, request_id, number, listing[0])
                if listing
                else self._forgetting.erases_feedback(request_id, number)
            )
        return erased


def _is_in(column: Any, values: Iterable[Any]) -> NDArray[np.bool_]:
    wanted = pa.array(list(values), column.type)
    return cast("NDArray[np.bool_]", pc.is_in(column, value_set=wanted).to_numpy())


class _Into:
    """The tables that a run puts rows into: how many rows each day has then, and what became of all lines."""

    def __init__(self, tables: DayTables, forgetting: _Forgetting, rows: dict[str, dict[int, int]]) -> None:
        self._tables, self._forgetting = tables, forgetting
        self.rows, self.erased = rows, 0
        self.funnels = dict.fromkeys(PREFIXES, Funnel())

    def take(self, kind: Kind, read: Portion, files: Sequence[LogFile], *, everywhere: bool) -> None:
        """Put what some files hold into the tables, and erase what is forgotten: from all tables, where it is new."""
        if kind == "answers" and self._forgetting.learn(rows for of_day in read.by_day.values() for rows in of_day):
            # Of answers that came after they were forgotten, what was told may have been taken already.
            self.take("feedback", Portion(Funnel(), {}), [], everywhere=True)
        names = [file.name for file in files]
        merged = _merge(self._tables, kind, read.by_day, names, self._forgetting, everywhere=everywhere)
        kept = read.funnel.kept - merged.lost - merged.doubled
        self.funnels[kind] += msgspec.structs.replace(
            read.funnel, forgotten=merged.lost, doubled=merged.doubled, kept=kept
        )
        self.rows[kind] |= merged.rows
        self.erased += merged.of_before


class _Merged(NamedTuple):
    """How many new rows are forgotten, how many were there already, how many of before were erased; rows by day."""

    lost: int
    doubled: int
    of_before: int
    rows: dict[int, int]


def _merge(
    tables: DayTables, kind: Kind, by_day: ByDay, files: Sequence[str], forgetting: _Forgetting, *, everywhere: bool
) -> _Merged:
    """Put rows into their days' tables, in place of those that were from the same files."""
    lost, doubled, of_before, counts = 0, 0, 0, dict[int, int]()
    days = {*by_day, *tables.days(kind)} if everywhere else set(by_day)
    for day in sorted(days):
        new = pa.concat_tables([SCHEMAS[kind].empty_table(), *by_day.get(day, [])])
        before, seen = tables.seen(kind, day)
        stays = before.filter(pa.array(~_is_in(before["file"], files)))
        gone_new, gone_before = forgetting.erases(kind, new), forgetting.erases(kind, stays)
        lost, of_before = lost + int(gone_new.sum()), of_before + int(gone_before.sum())
        rows = pa.concat_tables([stays.filter(pa.array(~gone_before)), new.filter(pa.array(~gone_new))])
        # The last of them stays: after "10, 500, 10" it is 10 that counts.
        again = rows.select(_ONCE[kind]).to_pandas().duplicated(keep="last").to_numpy()
        doubled += int(again.sum())
        counts[day] = rows.num_rows - int(again.sum())
        if new.num_rows or counts[day] != before.num_rows:
            tables.replace(kind, day, rows.filter(pa.array(~again)).sort_by("time"), seen)
    return _Merged(lost, doubled, of_before, counts)


def _expire(tables: DayTables, first_day: int) -> None:
    for kind in PREFIXES:
        for day in tables.days(kind):
            if day < first_day:
                tables.remove(kind, day)
