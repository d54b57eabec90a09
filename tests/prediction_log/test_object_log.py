"""The log on an object store: every record once, and none that is forgotten, whichever spool it still is in."""

import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import obstore
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from prediction_log.erasing import Erased, Forgetting
from prediction_log.files import LogFile, file_name, log_file
from prediction_log.logs import FolderLog, Log, log_at
from prediction_log.object_log import ObjectLog, without
from prediction_log.record import Forgotten, Prediction, Record
from storage.errors import StoreAway
from storage.objects import Content, Objects, Tag
from storage.waiting import AT_ONCE
from tests.object_store import ObjectStore
from tests.prediction_log.log import NOON, feedback, lines, prediction

DAY = 86_400.0


def file(number: int, prefix: str = "predictions", begun: float = NOON, process: str = "0123abcd") -> LogFile:
    found = log_file(Path(file_name(prefix, begun, process, number)), 1)
    assert found is not None
    return found


def shown(log: Log) -> list[str]:
    """The ids of the requests of all records that the pipeline takes: without what is forgotten."""
    parts = [part for one in log.files() for part in log.read(one)]
    assert not sum(part.cut + part.unknown for part in parts)
    content = lines(*(record for part in parts for record in part.records))
    forgetting = Forgetting(log.erasures().forgotten)
    without(content, forgetting)  # learns whose feedback is to go
    kept, _ = without(content, forgetting)
    return sorted(record.request_id or "" for record in msgspec.json.Decoder(Record).decode_lines(kept))


@pytest.fixture
def log(store: ObjectStore) -> ObjectLog:
    return ObjectLog(Objects(store.new_url("log")))


def test_what_is_uploaded_is_read_the_oldest_first_and_nothing_else_is_of_the_log(log: ObjectLog) -> None:
    log.upload(file(2, begun=NOON + 60), lines(prediction("b")))
    log.upload(file(1), lines(prediction("a")))
    log.upload(file(1, "feedback"), lines(feedback("a")))
    for name in ("predictions/notes.txt", "predictions/feedback-20260801T120000-0123abcd-9.jsonl", "other/a.jsonl"):
        log.objects.write(name, b"x")
    files = log.files()
    assert [(one.prefix, one.number, one.open) for one in files] == [
        ("predictions", 1, False),
        ("feedback", 1, False),
        ("predictions", 2, False),
    ]
    [part] = log.read(files[0])
    assert (part.records, part.lines, part.cut) == ([prediction("a")], 1, 0)
    assert [one.number for one in log.files(NOON + 1)] == [2]


def test_damaged_lines_are_counted_as_in_a_folder(log: ObjectLog, tmp_path: Path) -> None:
    content = lines(prediction("a")) + b'{"kind":"prediction-9"}\n{"kind":"predic'
    (tmp_path / file(1).name).write_bytes(content)
    log.upload(file(1), content)
    here, there = FolderLog(tmp_path), log
    counts = [
        [(part.lines, len(part.records), part.cut, part.unknown) for one in each.files() for part in each.read(one)]
        for each in (here, there)
    ]
    assert counts[0] == counts[1] == [(2, 1, 0, 1), (1, 0, 1, 0)]


def test_a_file_that_was_uploaded_by_one_who_was_killed_before_he_removed_it_is_there_once(log: ObjectLog) -> None:
    for _ in range(2):
        log.upload(file(1), lines(prediction("a")))
    assert shown(log) == ["a"]
    assert [entry.name for entry in log.objects.entries("predictions/")] == [f"predictions/{file(1).name}"]


def test_a_file_that_is_gone_when_its_turn_comes_has_no_records(log: ObjectLog) -> None:
    log.upload(file(1), lines(prediction("a")))
    [found] = log.files()
    log.objects.delete("predictions/" + found.name)
    assert list(log.read(found)) == []


def test_a_request_is_forgotten_with_what_was_told_of_it(log: ObjectLog) -> None:
    log.upload(file(1), lines(prediction("a"), prediction("b")))
    log.upload(file(2), lines(prediction("a", 1)))
    log.upload(file(1, "feedback"), lines(feedback("a"), feedback("b")))
    assert log.forget(request_id="a") == Erased(predictions=2, feedback=1, files=3)
    assert shown(log) == ["b", "b"]
    content = b"".join(log.objects.read(entry.name) for entry in log.objects.entries() if "forgotten" not in entry.name)
    assert b'"a"' not in content
    assert len(log.files()) == 2, "nothing is left of the second"


def test_a_listing_is_forgotten_up_to_now_with_what_was_told_of_it(log: ObjectLog) -> None:
    log.upload(file(1), lines(prediction("a", listing_id=7), prediction("b", 0, listing_id=7), prediction("b", 1)))
    log.upload(file(2), lines(prediction("c", listing_id=7, time=NOON + 60)))
    log.upload(file(1, "feedback"), lines(feedback("a"), feedback("b", 0), feedback("b", 1), feedback("c")))
    assert log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0) == Erased(predictions=2, feedback=2, files=2)
    assert shown(log) == ["b", "b", "c", "c"]
    assert log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0) == Erased()


def test_an_answer_by_a_clock_that_is_ahead_is_erased(log: ObjectLog) -> None:
    log.upload(
        file(1), lines(prediction("a", listing_id=7, time=NOON + 3), prediction("b", listing_id=7, time=NOON + 9))
    )
    assert log.forget(listing_id=7, clock=lambda: NOON).predictions == 1
    assert shown(log) == ["b"]


def test_what_is_still_in_a_spool_is_left_out_when_it_is_uploaded(log: ObjectLog) -> None:
    log.upload(file(1), lines(prediction("a")))
    log.forget(request_id="a")
    log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0)
    log.upload(file(2), lines(prediction("a"), prediction("b"), prediction("c", listing_id=7)))
    log.upload(file(3), lines(prediction("d", listing_id=7)))
    assert [entry.name for entry in log.objects.entries("predictions/")] == [f"predictions/{file(2).name}"]
    assert b'"a"' not in log.objects.read(f"predictions/{file(2).name}")
    assert shown(log) == ["b"]


def test_feedback_is_erased_whose_answer_comes_late_or_was_erased_long_ago(log: ObjectLog) -> None:
    log.upload(file(1), lines(prediction("early", listing_id=7)))
    log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0)
    log.upload(file(1, "feedback"), lines(feedback("early"), feedback("late"), feedback("other")))
    assert shown(log) == ["late", "other"], "nothing tells as yet whose that is"
    log.upload(file(2), lines(prediction("late", listing_id=7)))
    assert shown(log) == ["other"]


def test_an_erasure_in_the_midst_of_an_upload_misses_nothing(log: ObjectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    other, create = ObjectLog(log.objects), Objects.create

    def forgotten_meanwhile(objects: Objects, name: str, content: bytes) -> object:
        monkeypatch.setattr(Objects, "create", create)
        other.forget(request_id="a")  # it is written down, and lists the files before this one is there
        return create(objects, name, content)

    monkeypatch.setattr(Objects, "create", forgotten_meanwhile)
    log.upload(file(1), lines(prediction("a"), prediction("b")))
    assert b'"a"' not in log.objects.read(f"predictions/{file(1).name}")
    assert shown(log) == ["b"]


def test_a_file_that_was_uploaded_before_an_erasure_is_erased_from_by_whoever_finds_it(log: ObjectLog) -> None:
    # Its process was killed between the upload and the second look at what is forgotten; so was the erasure.
    log.objects.create(f"predictions/{file(1).name}", lines(prediction("a"), prediction("b")))
    log.forget(request_id="none")
    log.write_down([Forgotten(NOON, "a")])
    log.upload(file(1), lines(prediction("a"), prediction("b")))
    assert b'"a"' not in log.objects.read(f"predictions/{file(1).name}")


def test_an_erasure_reads_many_files_at_once(log: ObjectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(AT_ONCE):
        log.upload(file(number), lines(prediction(f"r{number}")))
    together, read_if_changed = threading.Barrier(AT_ONCE), Objects.read_if_changed

    def read_together(objects: Objects, name: str, tag: Tag | None, *most: int) -> Content | None:
        if name.startswith("predictions/"):
            together.wait(5)
        return read_if_changed(objects, name, tag, *most)

    monkeypatch.setattr(Objects, "read_if_changed", read_together)
    assert log.forget(request_id="r3") == Erased(predictions=1, files=1)


def test_an_erasure_from_many_files_knows_whose_all_feedback_is(log: ObjectLog) -> None:
    for number in range(3 * AT_ONCE):
        log.upload(file(number), lines(prediction(f"r{number}", listing_id=7), prediction("other")))
        log.upload(file(number, "feedback"), lines(feedback(f"r{number}"), feedback("other")))
    erased = log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0)
    assert erased == Erased(predictions=3 * AT_ONCE, feedback=3 * AT_ONCE, files=6 * AT_ONCE)
    assert set(shown(log)) == {"other"}
    written_down = [one.request_id or "" for one in log.erasures().forgotten]
    assert sorted(written_down) == ["", *sorted(f"r{number}" for number in range(3 * AT_ONCE))]


def test_nothing_is_erased_while_it_is_still_being_written_down_whose_it_was(
    log: ObjectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        log.upload(file(number), lines(prediction(f"r{number}", listing_id=7)))
    files, forgetting = log.files(), Forgetting([Forgotten(NOON, listing_id=7)])
    write_down, writing, go_on = ObjectLog.write_down, threading.Event(), threading.Event()

    def slowly(one: ObjectLog, forgotten: Iterable[Forgotten]) -> None:
        writing.set()
        go_on.wait(20)
        write_down(one, forgotten)

    monkeypatch.setattr(ObjectLog, "write_down", slowly)
    threads = [threading.Thread(target=log.erase, args=(one, forgetting)) for one in files]
    threads[0].start()
    assert writing.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    assert log.files() == files
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert log.files() == []
    assert {one.request_id for one in log.erasures().forgotten} == {"r0", "r1"}


def test_an_erasure_that_fails_midway_is_completed_by_the_next(log: ObjectLog, store: ObjectStore) -> None:
    log.upload(file(1), lines(prediction("a", listing_id=7), prediction("b")))
    log.upload(file(1, "feedback"), lines(feedback("a")))
    with store.failing(status=403, methods=["PUT"], path="predictions/"), pytest.raises(StoreAway):
        log.forget(listing_id=7, clock=lambda: NOON + 30, skew=0)
    assert shown(log) == ["b"], "whoever reads leaves out what is written down"
    assert log.forget(request_id="none").predictions == 1
    assert b'"a"' not in log.objects.read(f"predictions/{file(1).name}")


def test_an_erasure_whose_answer_is_lost_is_written_down_once(log: ObjectLog, store: ObjectStore) -> None:
    with store.failing(lost=True, methods=["PUT"], requests=1):
        log.forget(request_id="a")
    assert len(log.erasures().forgotten) == 1


def test_many_that_forget_at_once_are_all_written_down(log: ObjectLog) -> None:
    def forget(number: int) -> None:
        ObjectLog(log.objects).forget(request_id=f"r{number}")

    log.upload(file(1), lines(*(prediction(f"r{number}") for number in range(9))))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(forget, range(8)))
    assert sorted(one.request_id or "" for one in log.erasures().forgotten) == [f"r{number}" for number in range(8)]
    assert shown(log) == ["r8"]


def test_what_is_forgotten_is_sent_again_only_where_it_changed(log: ObjectLog, store: ObjectStore) -> None:
    log.forget(request_id="a")
    store.asked()
    first = log.erasures()
    assert log.erasures() == first
    assert {asked[-3:] for asked in store.asked()} == {"304"}
    ObjectLog(log.objects).forget(request_id="b")
    assert log.erasures().digest != first.digest


def test_old_files_are_removed_and_the_oldest_of_too_many(log: ObjectLog) -> None:
    for number in range(1, 5):
        log.upload(file(number, begun=NOON + number * DAY), lines(prediction(f"r{number}")))
    log.upload(file(1, "feedback", begun=NOON), lines(feedback("r1")))
    size = len(lines(prediction("r1")))
    assert log.tidy(keep_bytes=2 * size, keep_seconds=10 * DAY, now=NOON + 5 * DAY) == 2
    assert shown(log) == ["r1", "r3", "r4"]
    assert log.tidy(keep_bytes=10 * size, keep_seconds=1.5 * DAY, now=NOON + 5 * DAY) == 2
    assert shown(log) == ["r4"]


def test_however_many_files_there_are_they_are_not_all_held_to_see_which_are_old(
    log: ObjectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Counter[int]()

    def many(_: object, prefix: str, **__: object) -> Iterator[list[dict[str, object]]]:
        kind, at = prefix.rpartition("/")[2], datetime.fromtimestamp(NOON, UTC)
        for batch in range(40):
            listed[batch] += 1
            begun = [NOON + 60 * (50 * batch + number) for number in range(50)]
            names = [file_name(kind, time, "0123abcd", number) for number, time in enumerate(begun)]
            yield [{"path": f"{prefix}/{name}", "size": 1, "last_modified": at} for name in names]

    monkeypatch.setattr(obstore, "list", many)
    tracemalloc.start()
    try:
        assert log.tidy(keep_bytes=1_990, keep_seconds=DAY, now=NOON + DAY) == 20
        assert tracemalloc.get_traced_memory()[1] < 600_000
    finally:
        tracemalloc.stop()
    assert listed == {0: 4} | dict.fromkeys(range(1, 40), 2), "once for the bytes, and as far as files are old"


def test_a_log_is_where_its_address_says(tmp_path: Path, store: ObjectStore) -> None:
    url = store.new_url()
    assert (log_at(str(tmp_path)).address, log_at(url).address) == (str(tmp_path), url)
    assert (log_at(url).files(), log_at(url).erasures().forgotten) == ([], [])


class Spools(RuleBasedStateMachine):
    """Answers and feedback in spools, uploads and erasures in any order, against what is to be shown at last."""

    store: ObjectStore

    def __init__(self) -> None:
        super().__init__()
        self.log = ObjectLog(Objects(self.store.new_url()))
        self.waiting = list[tuple[LogFile, bytes]]()
        self.numbers, self.time = {"predictions": 0, "feedback": 0}, NOON
        self.forgotten_requests, self.forgotten_listings = set[str](), dict[int, float]()
        self.answers = dict[str, tuple[int, float]]()

    @rule(listing=st.integers(1, 3))
    def answer(self, listing: int) -> None:
        self.time += 1
        request = f"r{len(self.answers)}"
        self.answers[request] = (listing, self.time)
        self.spool("predictions", lines(prediction(request, listing_id=listing, time=self.time)))

    @rule(place=st.integers(0, 9))
    def tell(self, place: int) -> None:
        self.time += 1
        if self.answers:
            self.spool("feedback", lines(feedback(f"r{place % len(self.answers)}", time=self.time)))

    def spool(self, prefix: str, content: bytes) -> None:
        self.numbers[prefix] += 1
        self.waiting.append((file(self.numbers[prefix], prefix), content))

    @rule(place=st.integers(0, 9), again=st.booleans())
    def upload(self, place: int, again: bool) -> None:
        if self.waiting:
            one = self.waiting[place % len(self.waiting)]
            self.log.upload(*one)
            if not again:
                self.waiting.remove(one)

    @rule(place=st.integers(0, 9))
    def forget_request(self, place: int) -> None:
        self.time += 1
        self.forgotten_requests.add(f"r{place}")
        self.log.forget(request_id=f"r{place}", clock=lambda: self.time, skew=0)

    @rule(listing=st.integers(1, 3))
    def forget_listing(self, listing: int) -> None:
        self.time += 1
        self.forgotten_listings[listing] = self.time
        self.log.forget(listing_id=listing, clock=lambda: self.time, skew=0)

    def is_forgotten(self, request: str) -> bool:
        listing, answered = self.answers[request]
        return request in self.forgotten_requests or answered <= self.forgotten_listings.get(listing, 0)

    @invariant()
    def no_answer_is_shown_that_is_forgotten(self) -> None:
        parts = [part for one in self.log.files() for part in self.log.read(one)]
        for record in (record for part in parts for record in part.records if isinstance(record, Prediction)):
            assert not self.is_forgotten(record.request_id or "")

    def teardown(self) -> None:
        for one in self.waiting:
            self.log.upload(*one)
        for request in shown(self.log):
            assert not self.is_forgotten(request)
        kept = [request for request in self.answers if not self.is_forgotten(request)]
        assert set(kept) == set(shown(self.log))


def test_whatever_comes_in_any_order_only_what_is_not_forgotten_is_shown(store: ObjectStore) -> None:
    machine = type("SpoolsOfStore", (Spools,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=12, deadline=None))
