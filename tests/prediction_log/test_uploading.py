"""Files go from the spool to the store once each, whatever is away, full or killed meanwhile, and nobody waits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prediction_log.files import log_files
from prediction_log.object_log import ObjectLog
from prediction_log.uploading import Uploads
from prediction_log.writer import LogWriter
from storage.objects import Objects
from tests.object_store import ObjectStore
from tests.prediction_log.log import NOON, lines, prediction
from tests.waiting import until

DEAD = "predictions-20260801T120000-0123abcd-1.jsonl"


@pytest.fixture
def url(store: ObjectStore) -> str:
    return store.new_url("log")


@contextmanager
def uploading(spool: Path, url: str, **options: float) -> Iterator[Uploads]:
    uploads = Uploads(spool, url, first_pause=0.1, **options)  # pyright: ignore
    uploads.start()
    yield uploads
    assert uploads.close(20)


def write(spool: Path, *ids: str, **options: float) -> None:
    """Have a writer write these and finish its file."""
    writer = LogWriter(spool, "predictions", **options)  # pyright: ignore
    writer.start()
    writer.offer(lambda: [prediction(id_) for id_ in ids], len(ids))
    assert writer.close()


def there(url: str) -> list[str]:
    """The request ids of all records of the log at a URL."""
    log = ObjectLog(Objects(url))
    return sorted(record.request_id or "" for one in log.files() for part in log.read(one) for record in part.records)


def test_what_is_done_is_uploaded_and_removed_and_what_is_written_stays(tmp_path: Path, url: str) -> None:
    writer = LogWriter(tmp_path, "predictions")
    writer.start()
    writer.offer(lambda: [prediction("open")])
    until(lambda: writer.state().written == 1)
    with uploading(tmp_path, url) as uploads:
        write(tmp_path, "a", "b")
        write(tmp_path, "c")
        until(lambda: uploads.state().uploaded == 2)
        assert [file.open for file in log_files(tmp_path)] == [True]
        assert (there(url), uploads.state().problem) == (["a", "b", "c"], None)
        writer.close()
    assert there(url) == ["a", "b", "c", "open"], "it was tried once more at the end"
    assert log_files(tmp_path) == []


def test_while_the_store_is_away_files_wait_and_then_all_of_them_go(
    tmp_path: Path, store: ObjectStore, url: str
) -> None:
    with store.failing(status=403), uploading(tmp_path, url) as uploads:
        write(tmp_path, "a")
        until(lambda: uploads.state().problem is not None)
        write(tmp_path, "b")
        until(lambda: uploads.state().waiting == 2)
        problem = uploads.state().problem or ""
        assert problem.startswith(f"files of the log wait in {tmp_path} to be uploaded ({url}")
        assert "is refused by its store" in problem
        store.fail()
        until(lambda: uploads.state().waiting == 0 and uploads.state().problem is None)
    assert (there(url), log_files(tmp_path)) == (["a", "b"], [])


def spooled(spool: Path, *ids: str, hour: int = 12, process: str = "0123abcd") -> None:
    """Have files in a spool, one of each request, the oldest first."""
    for number, id_ in enumerate(ids):
        (spool / f"predictions-20260801T{hour}000{number}-{process}-{number}.jsonl").write_bytes(lines(prediction(id_)))


def test_files_that_the_store_does_not_take_keep_no_others_waiting(
    tmp_path: Path, store: ObjectStore, url: str
) -> None:
    spooled(tmp_path, "a", "b", "c", "d", process="0bad0bad")
    spooled(tmp_path, "e", "f", hour=13)
    with store.failing(status=403, methods=["PUT"], path="0bad0bad"), uploading(tmp_path, url) as uploads:
        until(lambda: uploads.state().uploaded == 2)
        until(lambda: uploads.state().waiting == 4 and uploads.state().problem is not None)
        assert "is refused by its store" in (uploads.state().problem or "")
        assert there(url) == ["e", "f"]
        store.fail()
        until(lambda: uploads.state().waiting == 0 and uploads.state().problem is None)
    assert there(url) == ["a", "b", "c", "d", "e", "f"]


def test_of_a_store_that_takes_nothing_few_files_are_asked_at_once(
    tmp_path: Path, store: ObjectStore, url: str
) -> None:
    spooled(tmp_path, *"abcdefghi")
    uploads = Uploads(tmp_path, url, first_pause=60)
    with store.failing(status=403, methods=["PUT"], path="0123abcd"):
        uploads.start()
        until(lambda: uploads.state().problem is not None)
        asked = [one for one in store.asked() if one.startswith("PUT") and "0123abcd" in one]
        assert (len(asked), uploads.state().waiting) == (3, 9)
        store.fail()
    assert uploads.close(20)
    assert there(url) == list("abcdefghi")


def test_a_file_that_cannot_be_removed_here_keeps_no_others_waiting(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled(tmp_path, "a", "b")
    stuck, unlink = min(tmp_path.iterdir()), Path.unlink

    def cannot_be_removed(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", cannot_be_removed)
    with uploading(tmp_path, url) as uploads:
        until(lambda: uploads.state().problem is not None)
        assert f"Permission denied: '{stuck}'" in (uploads.state().problem or "")
        assert [file.path for file in log_files(tmp_path)] == [stuck]
        monkeypatch.setattr(Path, "unlink", unlink)
        until(lambda: uploads.state().problem is None)
    assert there(url) == ["a", "b"]


def test_the_spool_keeps_so_much_the_oldest_goes_first_and_is_counted(
    tmp_path: Path, store: ObjectStore, url: str
) -> None:
    size = len(lines(prediction("0")))
    with store.failing(status=403), uploading(tmp_path, url) as uploads:
        for number in range(4):
            (tmp_path / f"predictions-20260801T12000{number}-0123abcd-{number}.jsonl").write_bytes(
                lines(prediction(str(number)))
            )
        until(lambda: uploads.state().waiting == 4)
        writer = LogWriter(tmp_path, "predictions", keep_bytes=2 * size, clock=lambda: NOON)
        writer.start()
        until(lambda: writer.state().removed == 2)
        writer.close()
        store.fail()
        until(lambda: uploads.state().uploaded == 2)
    assert there(url) == ["2", "3"]


def test_a_file_whose_uploader_was_killed_before_he_removed_it_is_not_doubled(tmp_path: Path, url: str) -> None:
    content = lines(prediction("a"), prediction("b"))
    ObjectLog(Objects(url)).objects.create(f"predictions/{DEAD}", content)
    (tmp_path / DEAD).write_bytes(content)
    with uploading(tmp_path, url) as uploads:
        until(lambda: uploads.state().uploaded == 1)
    assert (there(url), log_files(tmp_path)) == (["a", "b"], [])


def test_what_a_killed_process_left_open_is_uploaded_by_the_next_one(tmp_path: Path, url: str) -> None:
    (tmp_path / (DEAD + ".open")).write_bytes(lines(prediction("dead")))
    writer = LogWriter(tmp_path, "predictions", clock=lambda: NOON)
    writer.start()
    with uploading(tmp_path, url) as uploads:
        until(lambda: uploads.state().uploaded == 1)
    writer.close()
    assert there(url) == ["dead"]


def test_two_that_share_a_spool_upload_everything_once(tmp_path: Path, url: str) -> None:
    for number in range(6):
        write(tmp_path, f"r{number}")
    with uploading(tmp_path, url), uploading(tmp_path, url):
        until(lambda: log_files(tmp_path) == [])
    assert there(url) == [f"r{number}" for number in range(6)]


def test_a_store_that_hangs_holds_nobody_up_at_the_end(tmp_path: Path, store: ObjectStore, url: str) -> None:
    write(tmp_path, "a")
    uploads = Uploads(tmp_path, url)
    with store.failing(seconds=1):
        uploads.start()
        begun = time.monotonic()
        assert not uploads.close(0.2)
        assert time.monotonic() - begun < 0.9
        assert len(log_files(tmp_path)) == 1
    assert uploads.close(20)
    assert (there(url), log_files(tmp_path)) == (["a"], []), "what was begun came to its end"


def test_old_files_on_the_store_are_removed_now_and_then_though_the_clock_was_ahead_at_first(
    tmp_path: Path, url: str
) -> None:
    log, now, passed = ObjectLog(Objects(url)), [NOON + 365 * 86_400], [0.0]
    log.objects.write(f"predictions/{DEAD}", lines(prediction("old")))
    uploads = Uploads(tmp_path, url, keep_seconds=86_400, clock=lambda: now[0], passed=lambda: passed[0])
    now[0] = NOON
    uploads.start()
    (tmp_path / "predictions-20260803T120000-0123abcd-2.jsonl").write_bytes(lines(prediction("new")))
    until(lambda: there(url) == ["new", "old"])
    now[0] += 2 * 86_400
    passed[0] += 3_601
    until(lambda: there(url) == ["new"])
    uploads.close(20)
    until(lambda: not log_files(tmp_path))


def test_a_store_that_lets_two_writers_win_is_given_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Objects, "create", lambda self, name, content: self.write(name, content))
    write(tmp_path, "a")
    with uploading(tmp_path, url) as uploads:
        until(lambda: uploads.state().problem is not None)
        assert "lets two writers win who both asked to create one object" in (uploads.state().problem or "")
    assert there(url) == []
    assert len(log_files(tmp_path)) == 1
