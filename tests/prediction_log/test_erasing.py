"""What is forgotten is gone from every file, whatever is killed when, and nothing else is touched."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_log.erasing import Erased, Forgetting, LogBusy, forget, read_forgotten
from prediction_log.files import log_files, tidy
from prediction_log.record import Forgotten, Prediction, Record
from tests.prediction_log.log import NOON, feedback, lines, names, prediction, request_ids, writing, written
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PREDICTIONS = "predictions-20260801T120000-0123abcd-1.jsonl"
MORE = "predictions-20260801T130000-0123abcd-2.jsonl"
FEEDBACK = "feedback-20260801T120000-0123abcd-1.jsonl"
NEXT_DAY = NOON + 86_400


def erase(
    folder: Path,
    *,
    request_id: str | None = None,
    listing_id: int | None = None,
    patience: float = 30.0,
    settle: float = 0.0,
    now: float = NEXT_DAY,
) -> Erased:
    return forget(
        folder,
        request_id=request_id,
        listing_id=listing_id,
        patience=patience,
        settle=settle,
        clock=lambda: now,
    )


def test_a_request_is_erased_with_its_feedback(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a", 0), prediction("a", 1), prediction("b")))
    (tmp_path / MORE).write_bytes(lines(prediction("c")))
    (tmp_path / FEEDBACK).write_bytes(lines(feedback("b"), feedback("a", 1), feedback("c")))
    assert erase(tmp_path, request_id="a") == Erased(predictions=2, feedback=1, damaged=0, files=2)
    assert (tmp_path / PREDICTIONS).read_bytes() == lines(prediction("b"))
    assert (tmp_path / FEEDBACK).read_bytes() == lines(feedback("b"), feedback("c"))
    assert (tmp_path / "forgotten.jsonl").read_bytes() == (
        b'{"kind":"forgotten-1","time":1785672000.0,"request_id":"a"}\n'
    )
    assert names(tmp_path) == [FEEDBACK, "forgotten.jsonl", PREDICTIONS, MORE]


def test_a_listing_is_erased_from_all_requests_with_the_feedback_to_it_alone(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(
        lines(prediction("a", 0, listing_id=7), prediction("a", 1, listing_id=8), prediction("b", listing_id=7))
    )
    (tmp_path / MORE).write_bytes(lines(prediction("c", listing_id=8)))
    (tmp_path / FEEDBACK).write_bytes(
        lines(feedback("a", 0), feedback("a", 1), feedback("a"), feedback("b"), feedback("b", 0), feedback("c"))
    )
    assert erase(tmp_path, listing_id=7) == Erased(predictions=2, feedback=4, damaged=0, files=2)
    assert (tmp_path / PREDICTIONS).read_bytes() == lines(prediction("a", 1, listing_id=8))
    assert (tmp_path / FEEDBACK).read_bytes() == lines(feedback("a", 1), feedback("c"))


def test_a_listing_that_is_asked_about_after_it_was_forgotten_is_logged_again(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a", time=NOON), prediction("b", time=NEXT_DAY + 1)))
    assert erase(tmp_path, listing_id=39331263).predictions == 1
    assert erase(tmp_path, request_id="none") == Erased()
    assert request_ids(tmp_path) == ["b"]


def test_erasing_again_finds_nothing_more(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a"), prediction("b")))
    assert erase(tmp_path, request_id="a").predictions == 1
    assert erase(tmp_path, request_id="a") == Erased()
    assert request_ids(tmp_path) == ["b"]


def test_what_came_late_of_what_was_forgotten_goes_with_the_next_erasure(tmp_path: Path) -> None:
    erase(tmp_path, request_id="a")
    erase(tmp_path, listing_id=7)
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a"), prediction("b", listing_id=7), prediction("c")))
    assert erase(tmp_path, request_id="none") == Erased(predictions=2, files=1)
    assert request_ids(tmp_path) == ["c"]


def test_a_file_of_which_nothing_is_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a")))
    assert erase(tmp_path, request_id="a") == Erased(predictions=1, files=1)
    assert names(tmp_path) == ["forgotten.jsonl"]


def test_files_without_it_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("b")) + b"damage\n" + lines(prediction("c"))[:-30])
    before = (tmp_path / PREDICTIONS).stat()
    assert erase(tmp_path, request_id="a") == Erased()
    assert (tmp_path / PREDICTIONS).stat().st_ino == before.st_ino


def test_a_file_that_is_rewritten_keeps_its_mode_and_whatever_else_is_in_it(tmp_path: Path) -> None:
    damage = b"damage\n\xff\n\n" + b'{"kind":"later-1","time":1.0,"request_id":"b"}\n'
    path = tmp_path / PREDICTIONS
    path.write_bytes(lines(prediction("b")) + damage + lines(prediction("a")) + b"{")
    path.chmod(0o640)
    assert erase(tmp_path, request_id="a").predictions == 1
    assert path.read_bytes() == lines(prediction("b")) + damage + b"{"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "line",
    [
        lines(prediction("ü", listing_id=7))[:-60],
        lines(prediction("ü", listing_id=7))[:200],
        lines(prediction("x", listing_id=7))[30:-1],
        b'{"kind":"prediction-1","request_id":"\\u00fc", "listing":[]}',
        b'{"kind":"later-9","listing":{"id": 7}}',
        lines(feedback("ü"))[:-5],
    ],
)
def test_a_damaged_line_that_names_what_is_forgotten_goes_with_it(line: bytes, tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(line + b"\n" + lines(prediction("b", listing_id=77)) + b'{"id":77')
    erase(tmp_path, listing_id=7)
    assert erase(tmp_path, request_id="ü").predictions == 0
    assert (tmp_path / PREDICTIONS).read_bytes() == lines(prediction("b", listing_id=77)) + b'{"id":77'


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen right before a file is put in another one's place."""
    chown = os.chown

    def before_that(path: Path, user: int, group: int) -> None:
        chown(path, user, group)
        happens()

    monkeypatch.setattr(os, "chown", before_that)


def test_an_old_file_is_erased_from_while_a_writer_tidies_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / PREDICTIONS
    path.write_bytes(lines(prediction("a"), prediction("b")))
    os.utime(path, (NOON, NOON))
    meanwhile(monkeypatch, lambda: tidy(tmp_path, "predictions", keep_bytes=9**9, keep_seconds=9e9, now=time.time()))
    assert erase(tmp_path, request_id="a").predictions == 1
    assert request_ids(tmp_path) == ["b"]
    assert path.stat().st_mtime == NOON


def test_nothing_counts_as_erased_that_is_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / PREDICTIONS
    path.write_bytes(lines(prediction("a"), prediction("b")))
    with monkeypatch.context() as patched:
        meanwhile(patched, (tmp_path / f"{PREDICTIONS}.rewriting").unlink)
        with pytest.raises(FileNotFoundError, match=rf"removed before it took the place of {PREDICTIONS}: erase again"):
            erase(tmp_path, request_id="a")
    assert request_ids(tmp_path) == ["a", "b"]
    assert erase(tmp_path, request_id="a").predictions == 1


def test_a_file_that_is_removed_while_it_is_erased_from_stays_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a"), prediction("b")))
    copystat = shutil.copystat

    def removed_before(path: Path, other: Path) -> None:
        path.unlink()
        copystat(path, other)

    monkeypatch.setattr(shutil, "copystat", removed_before)
    assert erase(tmp_path, request_id="a") == Erased()
    assert names(tmp_path) == ["forgotten.jsonl"]


def test_records_of_later_kinds_that_name_it_are_erased_as_well(tmp_path: Path) -> None:
    later = b'{"kind":"prediction-2","time":1.0,"request_id":"a","index":2,"listing":{"id":7,"pool":true},"new":{}}\n'
    (tmp_path / PREDICTIONS).write_bytes(later + lines(prediction("b")))
    assert erase(tmp_path, listing_id=7).predictions == 1
    assert request_ids(tmp_path) == ["b"]


def test_either_a_request_or_a_listing_is_forgotten(tmp_path: Path) -> None:
    for wrong in ({}, {"request_id": "a", "listing_id": 7}):
        with pytest.raises(ValueError, match="the id of a request or that of a listing is needed, and not both"):
            forget(tmp_path / "log", **wrong)
    assert not (tmp_path / "log").exists()


def test_what_is_forgotten_is_written_down_where_there_is_no_log_yet(tmp_path: Path) -> None:
    assert erase(tmp_path / "log", listing_id=7) == Erased()
    assert read_forgotten(tmp_path / "log") == [Forgotten(NEXT_DAY, listing_id=7)]
    assert read_forgotten(tmp_path / "none") == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"kind":"forgotten-1","time":1.0,"request', b"\xff\n", b"\n"])
def test_what_was_written_down_before_is_read_though_its_end_was_cut(damage: bytes, tmp_path: Path) -> None:
    erase(tmp_path, request_id="a")
    with (tmp_path / "forgotten.jsonl").open("ab") as file:
        file.write(damage)
    erase(tmp_path, request_id="b")
    assert [one.request_id for one in read_forgotten(tmp_path)] == ["a", "b"]


def test_a_live_writer_finishes_its_file_and_goes_on_in_another(tmp_path: Path) -> None:
    with writing(tmp_path) as writer, writing(tmp_path, "feedback") as other:
        writer.offer(lambda: [prediction("a"), prediction("b")], 2)
        other.offer(lambda: [feedback("a")])
        written(writer, 2)
        written(other, 1)
        assert erase(tmp_path, request_id="a") == Erased(predictions=1, feedback=1, files=2)
        assert request_ids(tmp_path) == ["b"]
        writer.offer(lambda: [prediction("c")])
        written(writer, 3)
        assert [file.open for file in log_files(tmp_path, "predictions")] == [False, True]
        assert request_ids(tmp_path) == ["b", "c"]
        time.sleep(0.1)
        assert [file.open for file in log_files(tmp_path, "predictions")] == [False, True]


def test_what_was_on_its_way_when_it_was_forgotten_is_erased(tmp_path: Path) -> None:
    with writing(tmp_path, flush_seconds=0.6) as writer:
        until(lambda: writer.state().problem is None)
        time.sleep(0.1)
        for number in range(400):
            writer.offer(lambda number=number: [prediction(f"{number}", listing_id=number % 2)])
        assert erase(tmp_path, listing_id=1, settle=0.7).predictions == 200
        assert request_ids(tmp_path) == [str(number) for number in range(0, 400, 2)]


def test_a_file_that_a_dead_process_left_open_is_erased_from(tmp_path: Path) -> None:
    (tmp_path / f"{PREDICTIONS}.open").write_bytes(lines(prediction("a"), prediction("b")) + lines(prediction("c"))[:9])
    assert erase(tmp_path, request_id="a") == Erased(predictions=1, files=1)
    assert (tmp_path / PREDICTIONS).read_bytes() == lines(prediction("b")) + lines(prediction("c"))[:9]


def test_a_process_that_does_not_finish_its_file_is_named_and_nothing_is_erased(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a"), prediction("b")))
    held = tmp_path / f"{MORE}.open"
    held.write_bytes(lines(prediction("a")))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LogBusy, match=rf"{MORE}\.open in .* is still written by a process that does not finish it"):
            erase(tmp_path, request_id="a", patience=0.2)
        assert request_ids(tmp_path) == ["a", "b", "a"]
        assert [one.request_id for one in read_forgotten(tmp_path)] == ["a"]
    assert erase(tmp_path, request_id="a") == Erased(predictions=2, files=2)


def test_a_process_whose_file_holds_nothing_of_it_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(prediction("a")))
    held = tmp_path / f"{MORE}.open"
    held.write_bytes(lines(prediction("b")))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert erase(tmp_path, request_id="a", patience=0) == Erased(predictions=1, files=1)
    assert request_ids(tmp_path) == ["b"]


def test_two_erasures_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / PREDICTIONS).write_bytes(lines(*(prediction(str(number)) for number in range(10))))
    threads = [threading.Thread(target=erase, args=(tmp_path,), kwargs={"request_id": str(n)}) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert request_ids(tmp_path) == ["8", "9"]
    assert len(read_forgotten(tmp_path)) == 8


def test_an_erasure_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with (tmp_path / "forgotten.jsonl").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LogBusy, match="another process erases records in .*: try again when it is done"):
            erase(tmp_path, request_id="a", patience=0.1)
    assert read_forgotten(tmp_path) == []


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 67])
def test_an_erasure_killed_at_any_line_is_completed_by_the_next_one(step: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.prediction_log.crash_eraser", str(tmp_path), str(step)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    print(f"{seen['kills']} kills, {len(seen['faults'])} faults")  # noqa: T201 (pytest -s shows it)
    assert seen["faults"] == []
    assert seen["kills"] > 600 // step


def test_a_process_that_writes_as_fast_as_it_can_loses_nothing_but_what_is_erased(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.prediction_log.numbered_writer", str(tmp_path), "run", "0.2", "300000", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        until(lambda: len(request_ids(tmp_path)) > 1_000)
        erased = [forget(tmp_path, request_id=f"run-{number}", settle=0.3).predictions for number in (3, 500)]
        process.kill()
        process.stdout.read()
    assert erased == [1, 1]
    numbers = [int(id_.removeprefix("run-")) for id_ in request_ids(tmp_path)]
    assert numbers == [number for number in range(len(numbers) + 2) if number not in (3, 500)]


few = st.sampled_from(["a", "b", "c"])
indexes = st.none() | st.integers(0, 2)
some_records = st.lists(
    st.builds(
        prediction, few, indexes, listing_id=st.integers(0, 3), time=st.sampled_from([NOON, NEXT_DAY, NEXT_DAY + 1])
    )
    | st.builds(feedback, few, indexes),
    max_size=8,
)


@given(
    content=st.lists(some_records, max_size=4),
    forgotten=st.lists(st.builds(Forgotten, st.just(NEXT_DAY), request_id=few), max_size=1)
    | st.lists(st.builds(Forgotten, st.just(NEXT_DAY), listing_id=st.integers(0, 3)), min_size=1, max_size=2),
)
@settings(max_examples=150, deadline=None)
def test_exactly_what_is_forgotten_goes_from_any_log(content: list[list[Record]], forgotten: list[Forgotten]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, part in enumerate(content):
            file = folder / f"predictions-20260801T120000-0123abcd-{number}.jsonl"
            file.write_bytes(lines(*part))
        for one in forgotten:
            erase(folder, request_id=one.request_id, listing_id=one.listing_id)
        # In words: a prediction goes when its request or its listing is forgotten, and with it what was told about it.
        requests = {one.request_id for one in forgotten if one.request_id}
        listings = {one.listing_id for one in forgotten if one.listing_id is not None}
        gone = [
            (record.request_id, record.index)
            for part in content
            for record in part
            if isinstance(record, Prediction) and record.listing.id in listings and record.time <= NEXT_DAY
        ]

        def stays(record: Record) -> bool:
            if record.request_id in requests:
                return False
            if isinstance(record, Prediction):
                return record.listing.id not in listings or record.time > NEXT_DAY
            about = [index for request, index in gone if request == record.request_id]
            index = getattr(record, "index", None)
            return not about or not (index is None or index in about or None in about)

        left = [line for file in log_files(folder) for line in file.path.read_bytes().splitlines(keepends=True)]
        assert left == [lines(record) for part in content for record in part if stays(record)]
        assert len(names(folder)) == len(log_files(folder)) + bool(forgotten)


def test_tables_ask_whether_a_row_is_forgotten() -> None:
    forgetting = Forgetting([Forgotten(NOON, request_id="a"), Forgotten(NOON, listing_id=7)])
    assert forgetting.erases_prediction(NEXT_DAY, "a", 3, 8)
    assert forgetting.erases_feedback("a", 1)
    assert not forgetting.erases_feedback("b", 1)
    assert forgetting.erases_prediction(NOON, "b", 1, 7)
    assert forgetting.erases_feedback("b", 1)
    assert not forgetting.erases_feedback("b", 2)
    assert not forgetting.erases_prediction(NOON + 1, "c", 1, 7)
