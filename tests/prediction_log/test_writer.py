"""What is offered is written or counted, to the record; whatever happens to the disk happens to the log alone."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from prediction_log.files import MOST_LINE, OpenFile, log_files, take_over
from prediction_log.reader import read_records
from prediction_log.record import Feedback, Record
from prediction_log.writer import LogWriter
from tests.prediction_log.log import (
    NOON,
    feedback,
    ids_and_cut,
    lines,
    names,
    prediction,
    request_ids,
    writing,
    written,
)
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LENGTH = len(lines(prediction("a")))
needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a volume"
)


def make(*ids: str) -> Callable[[], list[Record]]:
    return lambda: [prediction(id_) for id_ in ids]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small volume of its own."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no volume can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_what_is_offered_is_written_in_its_order(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        assert writer.offer(make("a"))
        assert writer.offer(make("b", "c"), 2)
    assert request_ids(tmp_path) == ["a", "b", "c"]
    state = writer.state()
    assert (state.written, state.dropped, state.queued, state.problem) == (3, {"full": 0, "failed": 0}, 0, None)


def test_a_file_is_named_by_its_beginning_and_called_open_until_it_is_done(tmp_path: Path) -> None:
    with writing(tmp_path / "new" / "log", clock=lambda: NOON) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        (open_name,) = names(tmp_path / "new" / "log")
        assert re.fullmatch(r"predictions-20260801T120000-[0-9a-f]{8}-1\.jsonl\.open", open_name)
        assert request_ids(tmp_path / "new" / "log") == ["a"]
    assert names(tmp_path / "new" / "log") == [open_name.removesuffix(".open")]


def test_nothing_is_made_before_there_is_a_record(tmp_path: Path) -> None:
    with writing(tmp_path / "log"):
        time.sleep(0.1)
    assert not (tmp_path / "log").exists()


def test_a_prefix_that_is_no_name_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'../x' cannot begin the name of a log file"):
        LogWriter(tmp_path, "../x")


def test_two_kinds_of_log_share_a_folder(tmp_path: Path) -> None:
    with writing(tmp_path) as writer, writing(tmp_path, "feedback") as other:
        writer.offer(make("a"))
        other.offer(lambda: [feedback("b")])
    assert request_ids(tmp_path) == ["a"]
    assert request_ids(tmp_path, "feedback") == ["b"]


def test_what_is_offered_is_in_a_file_within_the_flush_interval(tmp_path: Path) -> None:
    with writing(tmp_path, flush_seconds=0.4) as writer:
        for number in range(5):
            time.sleep(0.07 * number)
            start = time.monotonic()
            writer.offer(make(str(number)))
            until(lambda number=number: str(number) in request_ids(tmp_path), every=0.01)
            assert time.monotonic() - start < 0.4 + 0.3  # for a machine that does something else


def test_when_much_waits_it_is_written_at_once(tmp_path: Path) -> None:
    with writing(tmp_path, flush_seconds=3_600, capacity=100) as writer:
        for _ in range(51):
            writer.offer(make("a"))
        written(writer, 51)


def test_a_file_that_is_large_enough_is_done(tmp_path: Path) -> None:
    with writing(tmp_path, rotate_bytes=LENGTH) as writer:
        for number in range(3):
            writer.offer(make(str(number)))
            written(writer, number + 1)
    assert [file.number for file in log_files(tmp_path, "predictions")] == [1, 2, 3]
    assert request_ids(tmp_path) == ["0", "1", "2"]


def test_a_file_that_is_old_enough_is_done_though_nothing_is_written(tmp_path: Path) -> None:
    now = [NOON]
    with writing(tmp_path, rotate_seconds=3_600, clock=lambda: now[0]) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        now[0] += 3_599
        time.sleep(0.1)
        assert [file.open for file in log_files(tmp_path)] == [True]
        now[0] += 1
        until(lambda: [file.open for file in log_files(tmp_path)] == [False])


def test_a_clock_that_is_set_back_keeps_no_file_open(tmp_path: Path) -> None:
    now = [NOON]
    with writing(tmp_path, clock=lambda: now[0]) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        now[0] -= 86_400
        until(lambda: [file.open for file in log_files(tmp_path)] == [False])


def test_the_oldest_files_are_removed_when_there_is_more_than_is_kept(tmp_path: Path) -> None:
    with writing(tmp_path, rotate_bytes=LENGTH, keep_bytes=3 * LENGTH + 10) as writer:
        for number in range(9):
            writer.offer(make(str(number)))
            written(writer, number + 1)
        until(lambda: request_ids(tmp_path) == ["6", "7", "8"])


def test_files_are_removed_that_were_begun_too_long_ago_and_nothing_else(tmp_path: Path) -> None:
    old = "predictions-20260703T115959-0123abcd-1.jsonl"
    kept = [
        "feedback-20200101T000000-0123abcd-1.jsonl",
        "notes.txt",
        "predictions-20200101T000000-0123abcd-1.jsonl.gz",
        "predictions-20260703T120001-0123abcd-1.jsonl",
    ]
    for name in (old, *kept):
        (tmp_path / name).write_bytes(lines(prediction("a")))
    with writing(tmp_path, keep_seconds=29 * 86_400, clock=lambda: NOON):
        until(lambda: old not in names(tmp_path))
    assert names(tmp_path) == kept


def test_a_flush_does_not_wait_for_old_files_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removing, go_on = threading.Event(), threading.Event()

    def slowly(*_: object, **__: object) -> int:
        removing.set()
        go_on.wait(20)
        return 0

    monkeypatch.setattr("prediction_log.writer.tidy", slowly)
    with writing(tmp_path) as writer:
        assert removing.wait(20)
        writer.offer(make("a"))
        written(writer, 1)
        go_on.set()


def test_what_a_killed_erasure_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    left = tmp_path / "predictions-20260801T120000-0123abcd-1.jsonl.rewriting"
    left.write_bytes(b"x")
    with writing(tmp_path, clock=lambda: left.stat().st_ctime + 3_500):
        time.sleep(0.1)
    assert left.exists()
    now = left.stat().st_ctime + 3_601
    with writing(tmp_path, clock=lambda: now):
        until(lambda: not left.exists())


def test_files_that_dead_processes_left_open_are_done_and_those_of_live_ones_are_not(tmp_path: Path) -> None:
    with writing(tmp_path) as live:
        live.offer(make("live"))
        written(live, 1)
        (living,) = names(tmp_path)
        (tmp_path / "predictions-20260801T120000-0123abcd-1.jsonl.open").write_bytes(lines(prediction("dead")))
        (tmp_path / "predictions-20260801T120000-0123abcd-2.jsonl.open").touch()
        with writing(tmp_path, clock=lambda: NOON):
            until(lambda: len(names(tmp_path)) == 2)
        assert names(tmp_path) == ["predictions-20260801T120000-0123abcd-1.jsonl", living]
        assert request_ids(tmp_path) == ["dead", "live"]


def test_a_file_that_another_takes_before_it_is_locked_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[str]()
    create = OpenFile.create.__func__

    def taken_at_once(cls: type[OpenFile], path: Path, started: float) -> OpenFile | None:
        file = create(cls, path, started)
        if file and not taken:
            # What create does where another process came between its two steps.
            taken.append(path.name)
            file.finish()
            return None
        return file

    monkeypatch.setattr(OpenFile, "create", classmethod(taken_at_once))
    with writing(tmp_path) as writer:
        writer.offer(make("a"))
    (name,) = names(tmp_path)
    assert name.endswith("-1.jsonl")
    assert request_ids(tmp_path) == ["a"]


def test_a_name_that_another_process_does_not_let_go_of_is_not_waited_for(tmp_path: Path) -> None:
    with writing(tmp_path, clock=lambda: NOON) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        (first,) = names(tmp_path)
        with (tmp_path / first.replace("-1.jsonl", "-2.jsonl")).open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            (tmp_path / first).unlink()
            until(lambda: writer.state().problem is not None)
            writer.offer(make("b"))
            until(lambda: request_ids(tmp_path) == ["b"])
    assert names(tmp_path)[-1].endswith("-3.jsonl")


def test_many_that_begin_and_take_over_files_at_once_lose_none(tmp_path: Path) -> None:
    done = threading.Event()

    def take() -> None:
        while not done.is_set():
            for file in log_files(tmp_path):
                if file.open:
                    take_over(file)

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    with writing(tmp_path, rotate_bytes=1) as writer:
        for number in range(200):
            writer.offer(make(str(number)))
            written(writer, number + 1) if number % 20 == 0 else None
    done.set()
    for taker in takers:
        taker.join()
    assert sorted(map(int, request_ids(tmp_path))) == list(range(200))
    assert not [name for name in names(tmp_path) if name.endswith(".open")]
    assert all(file.size for file in log_files(tmp_path))
    assert sorted(file.number for file in log_files(tmp_path)) == list(range(1, len(names(tmp_path)) + 1))


def test_a_record_that_cannot_be_made_is_counted_and_told_and_the_others_are_written(tmp_path: Path) -> None:
    def fails() -> list[Record]:
        raise KeyError("no such listing")

    def fails_midway() -> Iterator[Record]:
        yield prediction("b")
        raise KeyError("no more listings")

    with writing(tmp_path) as writer:
        writer.offer(make("a"))
        writer.offer(fails, 3)
        writer.offer(fails_midway, 3)
        writer.offer(make("c"))
    assert request_ids(tmp_path) == ["a", "b", "c"]
    state = writer.state()
    assert (state.written, state.dropped) == (3, {"full": 0, "failed": 5})
    assert state.problem == "a record could not be made (KeyError: 'no more listings'): this is a fault of ours"


def test_what_is_missing_of_the_records_is_counted_and_what_is_too_many_is_left_out(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.offer(make("a"), 3)
        writer.offer(make("b", "c"), 1)
    assert request_ids(tmp_path) == ["a", "b"]
    assert (writer.state().written, writer.state().dropped["failed"]) == (2, 2)


def test_a_record_that_cannot_be_encoded_is_dropped_alone(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.offer(make("a", "\ud800", "b"), 3)
    assert request_ids(tmp_path) == ["a", "b"]
    assert (writer.state().written, writer.state().dropped["failed"]) == (2, 1)
    assert "could not be encoded (UnicodeEncodeError" in (writer.state().problem or "")


def test_a_line_that_no_reader_would_take_is_dropped_alone(tmp_path: Path) -> None:
    longest = "x" * (MOST_LINE - len(lines(prediction(""))))
    with writing(tmp_path) as writer:
        writer.offer(make("a", longest, f"{longest}x", "b"), 4)
    assert request_ids(tmp_path) == ["a", longest, "b"]
    assert (writer.state().written, writer.state().dropped["failed"]) == (3, 1)
    assert "a record had more than 1,000,000 bytes" in (writer.state().problem or "")


def test_when_the_queue_is_full_what_is_offered_is_dropped_and_counted(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, "predictions", capacity=5)
    assert writer.offer(make("a", "b", "c"), 3)
    assert not writer.offer(make("d", "e", "f"), 3)
    assert writer.offer(make("g", "h"), 2)
    assert not writer.offer(make("i"))
    assert writer.state().queued == 5
    assert writer.state().dropped == {"full": 4, "failed": 0}
    writer.start()
    written(writer, 5)
    assert writer.offer(make("j"))
    assert writer.close()
    assert request_ids(tmp_path) == ["a", "b", "c", "g", "h", "j"]


def test_offered_at_many_times_the_disks_pace_nothing_waits_and_all_is_counted_to_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = OpenFile.write

    def slowly(self: OpenFile, content: bytes) -> None:
        time.sleep(0.1)
        write(self, content)

    monkeypatch.setattr(OpenFile, "write", slowly)
    slowest, accepted = 0.0, Counter[bool]()
    with writing(tmp_path, capacity=1_000, rotate_bytes=50_000) as writer:
        for number in range(60_000):
            start = time.thread_time()
            accepted[writer.offer(make(str(number)))] += 1
            slowest = max(slowest, time.thread_time() - start)
            if number % 100 == 0:
                state = writer.state()
                assert state.queued <= 1_000
                assert state.written + state.queued + sum(state.dropped.values()) == number + 1
    state = writer.state()
    assert accepted[False] > 9 * accepted[True] > 9_000
    assert (state.written, state.dropped, state.queued) == (accepted[True], {"full": accepted[False], "failed": 0}, 0)
    assert len(set(request_ids(tmp_path))) == len(request_ids(tmp_path)) == state.written
    assert slowest < 0.02


def test_many_threads_that_offer_are_counted_to_the_record(tmp_path: Path) -> None:
    accepted = Counter[bool]()

    def offer(name: str) -> None:
        mine = Counter(writer.offer(make(f"{name}-{number}")) for number in range(3_000))
        with lock:
            accepted.update(mine)

    lock = threading.Lock()
    with writing(tmp_path, capacity=500) as writer:
        threads = [threading.Thread(target=offer, args=(str(name),)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(accepted.values()) == 12_000
    assert writer.state().written == accepted[True] == len(set(request_ids(tmp_path)))
    assert writer.state().dropped == {"full": accepted[False], "failed": 0}


def test_what_is_offered_to_a_closed_writer_is_dropped(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.offer(make("a"))
    assert not writer.offer(make("b"))
    assert writer.close()
    assert (writer.state().written, writer.state().dropped) == (1, {"full": 1, "failed": 0})


def test_a_writer_that_is_closed_before_it_was_started_drops_what_waits(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log", "predictions")
    writer.offer(make("a", "b"), 2)
    assert writer.close()
    assert writer.state().dropped == {"full": 0, "failed": 2}
    assert not (tmp_path / "log").exists()


def test_closing_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = OpenFile.write

    def slowly(self: OpenFile, content: bytes) -> None:
        time.sleep(0.1)
        write(self, content)

    monkeypatch.setattr(OpenFile, "write", slowly)
    with writing(tmp_path) as writer:
        for number in range(30_000):
            writer.offer(make(str(number)))
        start = time.monotonic()
        assert not writer.close(0.3)
        assert time.monotonic() - start < 5
        until(lambda: writer.state().queued == 0)
        state = writer.state()
        assert state.written + state.dropped["failed"] == 30_000
        assert state.dropped["failed"] > 10_000
        until(lambda: not any(file.open for file in log_files(tmp_path)))
    assert len(request_ids(tmp_path)) == state.written


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(OpenFile, "write", leaves)
    with writing(tmp_path) as writer:
        writer.offer(make("a"))
        until(lambda: writer.state().problem is not None)
        assert writer.state().problem == f"the thread that writes the log in {tmp_path} has ended: restart the service"


def test_a_file_that_is_removed_while_it_is_written_is_told_and_another_is_begun(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        (name,) = names(tmp_path)
        (tmp_path / name).unlink()
        writer.offer(make("b"))
        written(writer, 2)
        assert request_ids(tmp_path) == ["b"]
        assert writer.state().problem == (
            f"{tmp_path / name} was removed or moved while it was written, with what it held: "
            "let the log remove its files itself"
        )


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with writing(folder) as writer:
        writer.offer(make("a"))
        written(writer, 1)
        shutil.rmtree(folder)
        writer.offer(make("b"))
        written(writer, 2)
        assert request_ids(folder) == ["b"]


def test_a_folder_that_is_none_stops_the_log_alone_until_it_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("a file")
    with writing(folder) as writer:
        writer.offer(make("a", "b"), 2)
        until(lambda: writer.state().dropped["failed"] == 2)
        assert writer.state().problem == (
            f"the log in {folder} cannot be written (File exists): let it be a folder; "
            "until then nothing is logged, and it is tried again every 0.02 s"
        )
        folder.unlink()
        until(lambda: writer.state().problem is None)
        assert request_ids(folder) == []
        writer.offer(make("c"))
        written(writer, 1)
    assert request_ids(folder) == ["c"]


def test_where_no_file_may_grow_each_ends_with_a_whole_line_and_the_rest_is_counted(tmp_path: Path) -> None:
    limited = [sys.executable, "-m", "tests.prediction_log.limited_writer", str(tmp_path), str(3 * LENGTH + 40)]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=True)
    state = json.loads(done.stdout)
    assert (state["written"], state["dropped"], state["queued"]) == (3, {"full": 0, "failed": 7}, 0)
    assert "(File too large): let this process write larger files" in state["problem"]
    (file,) = log_files(tmp_path)
    assert (file.size, file.open) == (3 * LENGTH, False)
    assert request_ids(tmp_path) == ["0", "1", "2"]


def test_where_no_line_can_be_written_no_file_is_left(tmp_path: Path) -> None:
    limited = [sys.executable, "-m", "tests.prediction_log.limited_writer", str(tmp_path), str(LENGTH - 1)]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["dropped"] == {"full": 0, "failed": 10}
    assert names(tmp_path) == []


@needs_mounts
def test_a_full_disk_stops_the_log_alone_until_there_is_room(volume: Path) -> None:
    filler = volume / "filler"
    filler.write_bytes(bytes(40_000))
    numbers = count()
    with writing(volume) as writer:
        until(lambda: writer.offer(make(f"a{next(numbers)}")) and writer.state().problem is not None, every=0.0001)
        problem = writer.state().problem or ""
        assert f"the log in {volume} cannot be written (No space left on device): make room on its volume" in problem
        failed = writer.state().dropped["failed"]
        until(lambda: writer.offer(make("b")) and writer.state().dropped["failed"] > failed + 10, every=0.001)
        assert writer.state().problem == problem
        filler.unlink()
        until(lambda: writer.state().problem is None)
        writer.offer(make("c"))
        until(lambda: writer.state().queued == 0)
        ids, cut = ids_and_cut(volume)
        assert cut == 0
        assert ids[-1] == "c"
        assert len(ids) == writer.state().written


@needs_mounts
def test_a_volume_that_may_only_be_read_stops_the_log_alone_until_it_may_be_written(volume: Path) -> None:
    folder = volume / "log"
    folder.mkdir()

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(volume)], check=True)

    remount("ro")
    with writing(folder) as writer:
        writer.offer(make("a"))
        until(lambda: writer.state().dropped["failed"] == 1)
        problem = writer.state().problem or ""
        assert f"the log in {folder} cannot be written (Read-only file system): mount its volume for writing" in problem
        remount("rw")
        until(lambda: writer.state().problem is None)
        writer.offer(make("b"))
        written(writer, 1)
    assert request_ids(folder) == ["b"]


@needs_mounts
def test_old_files_that_cannot_be_removed_are_told(volume: Path) -> None:
    (volume / "predictions-20200101T000000-0123abcd-1.jsonl").write_bytes(lines(prediction("a")))
    subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
    with writing(volume) as writer:
        until(lambda: writer.state().problem is not None)
        assert writer.state().problem == (
            f"files of the log in {volume} cannot be renamed or removed (Read-only file system): "
            "mount its volume for writing"
        )


FLUSH = 1.0
"""As a service has it: on a machine that does much else a thread may well not have its turn for a third of that."""


@pytest.mark.parametrize("kills", [5, pytest.param(500, marks=pytest.mark.kills)])
def test_a_kill_loses_at_most_what_was_offered_within_the_flush_interval(kills: int, tmp_path: Path) -> None:
    chance = random.Random(16)  # noqa: S311 (no secret)
    seen, lost, all_cut = 0, 0, 0
    for kill in range(kills):
        # By turns as fast as it can, and so slowly that only the time has it flush.
        run, pause, size = f"run{kill}", kill % 2 * 0.1, chance.choice([200_000, 2_000_000, 64_000_000])
        how = map(str, (tmp_path, run, FLUSH, size, pause))
        command = [sys.executable, "-m", "tests.prediction_log.numbered_writer", *how]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            taken = [process.stdout.readline()]
            end = time.monotonic() + chance.uniform(0, 2 * FLUSH)
            ids_and_cut(tmp_path)  # beside the writer
            time.sleep(max(0.0, end - time.monotonic()))
            killed = time.monotonic()
            process.kill()
            taken += process.stdout.readlines()
        # The last of them may be cut.
        told = [line.split() for line in taken if line.endswith("\n")]
        sure = max([int(number) for number, at in told if float(at) < killed - FLUSH], default=0)
        ids, cut = ids_and_cut(tmp_path)
        mine = [int(id_.split("-")[1]) for id_ in ids if id_.startswith(f"{run}-")]
        assert mine == list(range(len(mine)))
        assert len(mine) >= sure
        seen, lost, all_cut = seen + len(mine), lost + max(0, int(told[-1][0]) - len(mine)), all_cut + cut
        # The last one's file is left for the next one to take over.
        for file in log_files(tmp_path):
            if not file.open:
                file.path.unlink()
    assert seen > 1_000 * kills
    print(f"{kills} kills: {seen:,} records read, {lost:,} of the last second lost, {all_cut} lines cut")  # noqa: T201


def test_feedback_is_a_record_like_any_other(tmp_path: Path) -> None:
    with writing(tmp_path, "feedback") as writer:
        writer.offer(lambda: [Feedback(NOON, "a", price_category="Lux")])
    (part,) = read_records(tmp_path, "feedback")
    assert part.records == [Feedback(NOON, "a", price_category="Lux")]
