"""From the prediction log's files to tables: every whole record of a market once, whatever is killed or removed when.

Each row knows the file of the log that it is from. A file that is still written is read again each time, and its rows
put in place of those that it had; one that is done is read once more and then named in the ledger. So a run that was
killed leaves nothing to be repaired: what it did not come to is done by the next one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mle_assets.monitoring.ledger import Ledger
from mle_assets.monitoring.tables import DAY, SCHEMAS, DayTables, Kind, days_of, rows_of_answers, rows_of_feedback
from mle_assets.places import Place, replace_file
from prediction_log.erasing import Forgetting
from prediction_log.files import FEEDBACK, PREDICTIONS, LogFile
from prediction_log.logs import Log
from prediction_log.reader import Read
from prediction_log.record import Feedback, Forgotten, Prediction

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

ByDay = dict[int, list[Any]]


class Funnel(msgspec.Struct, frozen=True):
    """What became of the lines that a run read: `lines` is the sum of all others.

    Lines of a file that is still written are read by every run until it is done.
    """

    lines: int = 0
    cut: int = 0
    unknown: int = 0
    other_markets: int = 0
    forgotten: int = 0
    doubled: int = 0
    kept: int = 0

    def __add__(self, other: Self) -> Self:
        """The sum, part by part."""
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


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

    Raises OSError where the log cannot be read or the tables cannot be written.
    """
    with place.alone():
        ledger, tables, look = Ledger.read(place), DayTables(place), Look.at(log)
        untaken, digest = _untaken(look, ledger), look.digest
        found: dict[Kind, list[LogFile]] = {
            kind: [file for file in untaken if file.prefix == prefix] for kind, prefix in PREFIXES.items()
        }
        read: dict[Kind, tuple[Funnel, ByDay]] = {
            kind: _read(log, kind, files, market) for kind, files in found.items()
        }
        # What was forgotten since is to be erased from all tables; what was before, from what is new.
        everywhere = digest != ledger.forgotten
        forgetting = _Forgetting(log.erasures().forgotten)
        forgetting.learn(row for rows in read["answers"][1].values() for row in rows)
        if everywhere:
            forgetting.learn(tables.of_day("answers", day) for day in tables.days("answers"))
        rows = {kind: dict(ledger.rows.get(kind, {})) for kind in PREFIXES}
        # Feedback first: once the answers are erased, nothing tells any longer whose it was.
        funnels, erased = dict[Kind, Funnel](), 0
        kinds: tuple[Kind, ...] = ("feedback", "answers")
        for kind in kinds:
            funnel, by_day = read[kind]
            names = [file.name for file in found[kind]]
            merged = _merge(tables, kind, by_day, names, forgetting, everywhere=everywhere)
            lost, doubled, of_before = merged.lost, merged.doubled, merged.of_before
            rows[kind] |= merged.rows
            kept = funnel.kept - lost - doubled
            funnels[kind] = msgspec.structs.replace(funnel, forgotten=lost, doubled=doubled, kept=kept)
            erased += of_before
        first_day = int(now // DAY) - keep_days + 1
        _expire(tables, first_day)
        files = [file for of_kind in found.values() for file in of_kind]
        done = [file for file in files if not file.open]
        first = f"{np.datetime64(first_day, 'D')}".replace("-", "")
        written = ledger.next(look.files, done, digest, first)
        written = msgspec.structs.replace(written, rows={kind: tables.rows(kind, rows[kind]) for kind in PREFIXES})
        written.write(place)
        return Compaction(
            answers=funnels["answers"],
            feedback=funnels["feedback"],
            files_done=len(done),
            files_open=len(files) - len(done),
            erased=erased,
            rows=sum(written.rows["answers"].values()),
            feedback_rows=sum(written.rows["feedback"].values()),
            days=len(written.rows["answers"]),
            missing=tuple(sorted(written.missing - ledger.missing)),
        )


def _untaken(look: Look, ledger: Ledger) -> list[LogFile]:
    return [file for file in look.files if not ledger.has(file)]


def _read(log: Log, kind: Kind, files: Iterable[LogFile], market: str) -> tuple[Funnel, ByDay]:
    """What some files hold of a market, as rows by day, and the funnel so far: forgotten and doubled come later."""
    funnel, by_day = Funnel(), defaultdict[int, list[Any]](list)
    for file in files:
        for block in log.read(file):
            rows, misplaced, elsewhere = _rows(kind, block, market)
            funnel += Funnel(block.lines, block.cut, block.unknown + misplaced, elsewhere, kept=rows.num_rows)
            days = days_of(rows)
            for day in np.unique(days).tolist():
                by_day[day].append(rows.filter(pa.array(days == day)))
    return funnel, dict(by_day)


def _rows(kind: Kind, block: Read, market: str) -> tuple[Any, int, int]:
    """A market's rows in a block, how many records are not of that kind, and how many are other markets'."""
    if kind == "feedback":
        told = [record for record in block.records if isinstance(record, Feedback)]
        return rows_of_feedback(told, block.file.name), len(block.records) - len(told), 0
    predictions = [record for record in block.records if isinstance(record, Prediction)]
    ours = [one for one in predictions if one.market == market]
    misplaced, elsewhere = len(block.records) - len(predictions), len(predictions) - len(ours)
    return rows_of_answers(ours, block.file.name), misplaced, elsewhere


class _Forgetting:
    """Which rows are to be erased; knows which few are worth asking about."""

    def __init__(self, forgotten: Sequence[Forgotten]) -> None:
        self._forgetting = Forgetting(forgotten)
        self._requests = {one.request_id for one in forgotten if one.request_id is not None}
        self._listings = {one.listing_id for one in forgotten if one.listing_id is not None}
        self._answered = set[str]()

    def learn(self, tables: Iterable[Any]) -> None:
        """See whose answers are to be erased: what was told of them goes with them."""
        if self._listings:
            for rows in tables:
                erased = rows.filter(pa.array(self.erases("answers", rows)))
                self._answered.update(erased["request_id"].to_pylist())

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
