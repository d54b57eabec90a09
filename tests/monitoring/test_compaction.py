"""The log becomes tables: each whole record once, whatever is renamed, removed, killed or forgotten in between."""

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.monitoring import compaction, reading
from mle_assets.monitoring.compaction import Compaction, Funnel, Look, compact, news
from mle_assets.monitoring.ledger import Ledger
from mle_assets.monitoring.tables import ALONE, DayTables
from mle_assets.places import FolderPlace, Place, place_at
from prediction_log.erasing import forget
from prediction_log.files import LogFile, log_files
from prediction_log.logs import FolderLog
from prediction_log.object_log import ObjectLog
from prediction_log.reader import Read
from prediction_log.record import ShadowAnswer
from storage.errors import StoreAway
from storage.waiting import patiently, waiting
from tests.monitoring.log import DAY, NOON, answered, being_written, leave_open, told, write
from tests.object_store import ObjectStore


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(params=["folder", "store"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """Where the tables are kept, in either way."""
    if request.param == "folder":
        return FolderPlace(tmp_path / "tables")
    store: ObjectStore = request.getfixturevalue("store")
    return place_at(store.new_url("tables"))


def run(log: Path, place: Place, market: str = "new-york", now: float = NOON, keep_days: int = 30) -> Compaction:
    return compact(FolderLog(log), place, market, keep_days=keep_days, now=now)


def news_of(log: Path, place: Place) -> str | None:
    return news(Look.at(FolderLog(log)), place)


def rows(place: Place, kind: compaction.Kind = "answers") -> pd.DataFrame:
    return DayTables(place).since(kind, 0)


def ids(place: Place, kind: compaction.Kind = "answers") -> list[str]:
    return sorted(rows(place, kind)["request_id"])


def test_a_record_is_a_row_with_all_that_it_says(log: Path, place: Place) -> None:
    shadow = ShadowAnswer("tree-2", "High", (0.1, 0.1, 0.7, 0.1))
    write(log, [answered("a", index=3, shadow=shadow), answered("b", shadow=ShadowAnswer("tree-2", missed="busy"))])
    run(log, place)
    first, second = rows(place).to_dict("records")
    first = {name: round(value, 6) if isinstance(value, float) else value for name, value in first.items()}
    [file] = log_files(log)
    assert first == {
        "time": NOON,
        "request_id": "a",
        "index": 3,
        "version": "tree-1",
        "category": 1,
        "probability_Low": 0.1,
        "probability_Mid": 0.7,
        "probability_High": 0.1,
        "probability_Lux": 0.1,
        "id": 39331263,
        "neighbourhood": "Brooklyn",
        "room_type": "Entire home/apt",
        "accommodates": 5,
        "bathrooms": 1.5,
        "bedrooms": 2,
        "beds": 2,
        "latitude": 40.65837,
        "longitude": -73.98402,
        "tv": True,
        "elevator": False,
        "internet": False,
        "shadow": "tree-2",
        "shadow_category": 2,
        "shadow_probability_Low": 0.1,
        "shadow_probability_Mid": 0.1,
        "shadow_probability_High": 0.7,
        "shadow_probability_Lux": 0.1,
        "shadow_missed": "",
        "file": file.name,
    }
    assert (second["index"], second["shadow_category"], second["shadow_missed"]) == (ALONE, -1, "busy")


def test_there_is_one_table_a_day_in_utc(log: Path, place: Place) -> None:
    write(log, [answered("a", NOON), answered("b", NOON + DAY / 2 - 1), answered("c", NOON + DAY / 2)])
    assert run(log, place).days == 2
    assert place.at("answers").names() == ["2026-01-01.parquet", "2026-01-02.parquet"]


def test_the_funnel_says_what_became_of_every_line(log: Path, place: Place) -> None:
    twice = answered("a")
    write(log, [twice, answered("b", market="lisbon"), twice, told("c")])
    write(log, [told("a"), told("a", NOON + 61)], "feedback")
    with being_written(log, [answered("d")], after=b'{"kind": "prediction-9"}\n{"kind": "predic\n'):
        done = run(log, place)
    assert done.answers == Funnel(lines=7, cut=1, unknown=2, other_markets=1, doubled=1, kept=2)
    assert done.feedback == Funnel(lines=2, kept=2)
    assert (done.files_done, done.files_open, done.rows, done.feedback_rows) == (2, 1, 2, 2)


def test_of_several_told_in_one_request_a_correction_is_kept_and_a_line_that_is_read_twice_is_not(
    log: Path, place: Place
) -> None:
    write(log, [told("a", price=10.0), told("a", price=500.0), told("a", price=10.0)], "feedback")
    assert run(log, place).feedback == Funnel(lines=3, doubled=1, kept=2)
    assert rows(place, "feedback")["price"].tolist() == [500.0, 10.0]
    # As a back-up that is played back under other names has it.
    write(log, [told("a", price=500.0), told("a", price=10.0), told("a", price_category="Lux")], "feedback")
    assert run(log, place).feedback == Funnel(lines=3, doubled=2, kept=1)
    assert rows(place, "feedback")["category"].tolist() == [-1, -1, 3]


def test_a_file_that_is_done_is_read_once(log: Path, place: Place) -> None:
    write(log, [answered("a")])
    assert run(log, place).answers.lines == 1
    assert run(log, place).answers.lines == 0
    assert ids(place) == ["a"]


def test_an_open_file_is_read_again_as_it_grows_and_once_more_when_it_is_done(log: Path, place: Place) -> None:
    file = leave_open(log, [answered("a")], after=b'{"kind": "predic')
    assert run(log, place).answers == Funnel(lines=1, kept=1)
    file.unlink()
    file = leave_open(log, [answered("a"), answered("b")])
    assert run(log, place).answers == Funnel(lines=2, kept=2)
    file.rename(file.with_suffix(""))
    assert run(log, place).answers == Funnel(lines=2, kept=2)
    assert run(log, place).answers == Funnel()
    assert ids(place) == ["a", "b"]


def test_what_the_log_removes_later_stays_in_the_tables(log: Path, place: Place) -> None:
    write(log, [answered("a")])
    with being_written(log, [answered("b")]) as file:
        run(log, place)
        file.unlink()
    for done in log_files(log):
        done.path.unlink()
    write(log, [answered("c")])
    assert run(log, place).missing == ()
    assert ids(place) == ["a", "b", "c"]


def test_a_file_that_was_removed_before_it_was_read_is_missed_once(log: Path, place: Place) -> None:
    for number in (1, 2, 5):
        file = leave_open(log, [answered(f"{number}")], number=number)
        file.rename(file.with_suffix(""))
    assert run(log, place).missing == ("predictions 3 to 4 of 0a1b2c3d",)
    assert run(log, place).missing == ()


def removed_while_it_reads(log: Path, *numbers: int) -> FolderLog:
    """A log that removes files of `log_of` once they were listed, as whoever tidies it may."""

    class Tidied(FolderLog):
        def files(self, since: float = 0.0) -> list[LogFile]:
            found = super().files(since)
            for file in found:
                if file.number in numbers:
                    file.path.unlink()
            return found

    return Tidied(log)


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ((1, 2), ("predictions 1 to 2 of 0a1b2c3d",)),
        ((2,), ("predictions 2 to 2 of 0a1b2c3d",)),
        ((3, 4), ("predictions 3 to 4 of 0a1b2c3d",)),
        ((1, 2, 3, 4), ("predictions 1 to 4 of 0a1b2c3d",)),
    ],
)
def test_a_file_that_is_removed_after_it_was_listed_is_missed_once(
    log: Path, place: Place, removed: tuple[int, ...], missing: tuple[str, ...]
) -> None:
    log_of(log, 1, 2, 3, 4)
    done = compact(removed_while_it_reads(log, *removed), place, "new-york", keep_days=30, now=NOON)
    assert (done.missing, done.files_done) == (missing, 4 - len(removed))
    log_of(log, 5)
    assert run(log, place).missing == ()
    assert ids(place) == [f"r{number}" for number in range(1, 6) if number not in removed]


def test_what_was_read_of_a_file_while_it_was_open_stays_where_it_is_removed_before_it_is_read_again(
    log: Path, place: Place
) -> None:
    file = leave_open(log, [answered("r1")], number=1)
    run(log, place)
    file.rename(file.with_suffix(""))
    log_of(log, 2)
    assert compact(removed_while_it_reads(log, 1), place, "new-york", keep_days=30, now=NOON).missing
    assert ids(place) == ["r1", "r2"]


def test_a_run_that_was_killed_before_its_ledger_is_done_again_without_doubles(
    log: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, [answered("a"), answered("b", NOON + DAY)])
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(Ledger, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            run(log, place)
    assert ids(place) == ["a", "b"]
    assert run(log, place).answers == Funnel(lines=2, kept=2)
    assert ids(place) == ["a", "b"]


def log_of(log: Path, *numbers: int) -> None:
    """Files that are done, of an answer each."""
    for number in numbers:
        file = leave_open(log, [answered(f"r{number}", NOON + number)], number=number)
        file.rename(file.with_suffix(""))


def test_a_run_that_is_ended_by_its_time_limit_is_gone_on_with(
    log: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 2)
    log_of(log, 1, 2, 3, 4, 6)
    read = FolderLog.read

    def until_the_fourth(self: FolderLog, file: LogFile) -> Iterator[Read]:
        if file.number == 4:
            raise KeyboardInterrupt
        return read(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(FolderLog, "read", until_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            run(log, place)
    assert ids(place) == ["r1", "r2"]
    done = run(log, place)
    assert (done.answers, done.files_done, done.rows) == (Funnel(lines=3, kept=3), 3, 5)
    assert done.missing == ("predictions 5 to 5 of 0a1b2c3d",)
    assert ids(place) == ["r1", "r2", "r3", "r4", "r6"]
    assert run(log, place).answers == Funnel()


@pytest.mark.parametrize("written", range(7))
def test_a_run_that_is_killed_between_any_two_writes_loses_and_doubles_nothing(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    place = FolderPlace(tmp_path / "tables")
    monkeypatch.setattr(reading, "MOST_FILES", 1)
    log_of(log, 1, 2, 3)
    write(log, [told("r1"), told("r2")], "feedback")
    left, put = iter(range(written)), FolderPlace.write

    def killed(self: FolderPlace, name: str, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        put(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            run(log, place)
    assert next(left, None) is None
    run(log, place)
    assert (ids(place), ids(place, "feedback")) == (["r1", "r2", "r3"], ["r1", "r2"])
    assert run(log, place).answers == Funnel()


def test_files_that_are_long_in_coming_are_read_at_the_same_time(log: Path, tmp_path: Path) -> None:
    class Away(FolderLog):
        at_once = 4
        together = Barrier(4, timeout=10)

        def read(self, file: LogFile) -> Iterator[Read]:
            self.together.wait()
            return super().read(file)

    log_of(log, *range(1, 9))
    place = FolderPlace(tmp_path / "tables")
    compact(Away(log), place, "new-york", keep_days=30, now=NOON)
    assert ids(place) == [f"r{number}" for number in range(1, 9)]
    assert ObjectLog.at_once > 1


@pytest.mark.parametrize("files_at_once", [1, 4])
def test_who_waits_for_a_store_waits_for_each_file(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_at_once: int
) -> None:
    monkeypatch.setattr("storage.waiting.PAUSE_SECONDS", 0.01)
    away = set[str]()

    class Faltering(FolderLog):
        at_once = files_at_once

        @patiently
        def read(self, file: LogFile) -> Iterator[Read]:
            if file.name not in away:
                away.add(file.name)
                raise StoreAway("the store is away")
            return super().read(file)

    log_of(log, 1, 2, 3)
    place = FolderPlace(tmp_path / "tables")
    with waiting(60):
        compact(Faltering(log), place, "new-york", keep_days=30, now=NOON)
    assert ids(place) == ["r1", "r2", "r3"]


def test_portions_are_of_so_many_files_and_bytes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_of(log, 1, 2, 3, 4, 5)
    files = log_files(log)
    assert [len(portion) for portion in reading.portions(files)] == [5]
    monkeypatch.setattr(reading, "MOST_FILES", 2)
    assert [len(portion) for portion in reading.portions(files)] == [2, 2, 1]
    monkeypatch.setattr(reading, "MOST_BYTES", 1)
    assert [len(portion) for portion in reading.portions(files)] == [1, 1, 1, 1, 1]
    assert list(reading.portions([])) == [[]]


def test_feedback_goes_with_an_answer_of_a_later_portion_that_is_forgotten(
    log: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 1)
    log.mkdir()
    forget(log, listing_id=2, settle=0, clock=lambda: NOON + 100)
    # As a back-up that is played back has them.
    log_of(log, 1)
    leave_open(log, [answered("b", id=2)], number=2)
    write(log, [told("b"), told("r1")], "feedback")
    run(log, place)
    assert (ids(place), ids(place, "feedback")) == (["r1"], ["r1"])


def test_what_is_forgotten_is_erased_from_the_tables_with_its_feedback(log: Path, place: Place) -> None:
    write(log, [answered("a", id=1), answered("b", id=2), answered("c", id=3), answered("d", id=2, index=1)])
    write(log, [told("a"), told("b"), told("c"), told("d", index=1, price=50.0)], "feedback")
    run(log, place)
    forget(log, listing_id=2, settle=0, clock=lambda: NOON + 100)
    forget(log, request_id="c", settle=0, clock=lambda: NOON + 100)
    assert news_of(log, place)
    assert run(log, place).erased == 6
    assert (ids(place), ids(place, "feedback")) == (["a"], ["a"])
    # Whoever asks about the listing again afterwards is served anew.
    write(log, [answered("e", NOON + 200, id=2), answered("c", NOON + 200)])
    assert run(log, place).answers == Funnel(lines=2, forgotten=1, kept=1)
    assert ids(place) == ["a", "e"]


def test_each_market_has_its_own_answers(log: Path, place: Place) -> None:
    write(log, [answered("a"), answered("b", market="lisbon"), answered("c", market="lisbon")])
    assert run(log, place.at("new-york")).rows == 1
    assert run(log, place.at("lisbon"), "lisbon").rows == 2
    assert ids(place.at("lisbon")) == ["b", "c"]
    assert place.places() == ["lisbon", "new-york"]


def test_days_that_are_old_are_removed(log: Path, place: Place) -> None:
    write(log, [answered("a"), answered("b", NOON + DAY)])
    write(log, [told("a")], "feedback")
    run(log, place)
    assert run(log, place, now=NOON + 3 * DAY, keep_days=3).rows == 1
    assert (ids(place), ids(place, "feedback")) == (["b"], [])


def test_without_a_log_there_is_nothing_and_no_news(log: Path, place: Place) -> None:
    assert news_of(log, place) is None
    assert run(log, place).answers == Funnel()
    assert (ids(place), news_of(log, place)) == ([], None)


def test_news_are_files_that_are_done_under_one_name_until_they_are_taken(log: Path, place: Place) -> None:
    with being_written(log, [answered("a")]):
        assert news_of(log, place) is None
        write(log, [answered("b")])
        first = news_of(log, place)
        assert first
        assert news_of(log, place) == first
        write(log, [answered("c")])
        assert news_of(log, place) not in {None, first}
        run(log, place)
        assert news_of(log, place) is None


def test_what_a_run_did_is_kept_beside_the_tables(log: Path, tmp_path: Path) -> None:
    write(log, [answered("a")])
    done = run(log, FolderPlace(tmp_path))
    done.write(tmp_path)
    assert Compaction.read(tmp_path) == done


def test_names_are_kept_in_the_ledger_for_as_long_as_their_files_or_tables(log: Path, place: Place) -> None:
    write(log, [answered("a")])
    [file] = log_files(log)
    run(log, place)
    file.path.unlink()
    run(log, place, now=NOON + 29 * DAY)
    assert Ledger.read(place).has(file)
    run(log, place, now=NOON + 31 * DAY)
    assert not Ledger.read(place).has(file)


def test_a_ledger_of_before_that_names_every_file_is_read(log: Path, place: Place) -> None:
    write(log, [answered("a")])
    [file] = log_files(log)
    run(log, place)
    ledger = msgspec.json.decode(place.read("ledger.json"))
    place.write("ledger.json", msgspec.json.encode({"files": [file.name], "forgotten": ledger["forgotten"]}))
    assert news_of(log, place) is None
    assert run(log, place).answers == Funnel()


def test_the_ledger_of_many_files_is_small(log: Path, place: Place) -> None:
    for number in (*range(1, 500), *range(502, 1_000)):
        (leave_open(log, [answered(f"r{number}")], number=number)).rename(
            log / f"predictions-20260101T120000-0a1b2c3d-{number}.jsonl"
        )
    assert run(log, place).missing == ("predictions 500 to 501 of 0a1b2c3d",)
    assert len(place.read("ledger.json")) < 300
    assert run(log, place).answers == Funnel()


def test_on_a_store_only_tables_that_change_are_fetched(log: Path, store: ObjectStore) -> None:
    place = place_at(store.new_url())
    write(log, [answered(f"r{day}", NOON + day * DAY) for day in range(5)])
    assert run(log, place, now=NOON + 5 * DAY).rows == 5
    write(log, [answered("new", NOON + 4 * DAY)])
    store.asked()
    assert run(log, place, now=NOON + 5 * DAY).rows == 6
    tables = [asked for asked in store.asked() if "/answers/" in asked and asked.startswith("GET")]
    assert len(tables) == 1
    forget(log, request_id="r2", settle=0, clock=lambda: NOON + 6 * DAY)
    store.asked()
    assert run(log, place, now=NOON + 5 * DAY).rows == 5
    assert len([asked for asked in store.asked() if "/answers/" in asked and asked.startswith("PUT")]) == 1


def test_two_runs_of_one_market_at_once_lose_nothing(
    log: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No store has locks, and a machine that was cut off may come back with a run that was given up.
    place = place_at(store.new_url())
    write(log, [answered("a")])
    run(log, place)
    write(log, [answered("b")])
    merged = DayTables.replace

    def meanwhile(*arguments: Any) -> None:
        monkeypatch.setattr(DayTables, "replace", merged)
        write(log, [answered("c")])
        run(log, place)
        merged(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(DayTables, "replace", meanwhile)
        with pytest.raises(OSError, match=r"2026-01-01\.parquet was written by another run meanwhile; run it again"):
            run(log, place)
    assert ids(place) == ["a", "b", "c"]
    assert run(log, place).answers == Funnel()


def test_a_store_that_cannot_be_reached_leaves_the_tables_as_they_are(log: Path, store: ObjectStore) -> None:
    place = place_at(store.new_url())
    write(log, [answered("a")])
    run(log, place)
    write(log, [answered("b")])
    with store.failing(status=403, methods=["PUT"]), pytest.raises(OSError, match="is refused by its store"):
        run(log, place)
    assert ids(place) == ["a"]
    assert run(log, place).answers.kept == 1
    assert ids(place) == ["a", "b"]


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda number, market, day: msgspec.json.encode(answered(f"r{number}", NOON + day * DAY, market=market)),
            st.integers(0, 9),
            st.sampled_from(["new-york", "lisbon"]),
            st.integers(0, 2),
        ),
        st.just(msgspec.json.encode(told("r1"))),
        st.sampled_from([b'{"kind":"prediction-1","ti', b"\xff\xfe", b"[]", b"null", b'{"kind":"prediction-7"}']),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(st.lists(LINES, min_size=1, max_size=4))
def test_every_line_is_counted_once_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[bytes]]
) -> None:
    log, place = tmp_path_factory.mktemp("log"), FolderPlace(tmp_path_factory.mktemp("tables"))
    for number, lines in enumerate(files, start=1):
        path = leave_open(log, [], after=b"".join(line + b"\n" for line in lines), number=number)
        path.rename(path.with_suffix("")) if number % 2 else None
    done = run(log, place)
    for funnel in (done.answers, done.feedback):
        parts = msgspec.structs.asdict(funnel)
        assert parts.pop("lines") == sum(parts.values())
    assert done.answers.lines == sum(len(lines) for lines in files)
    once = {line for lines in files for line in lines if b'"new-york"' in line}
    assert done.rows == done.answers.kept == len(rows(place)) == len(once)
