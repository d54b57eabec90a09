"""What steps print is read on one machine that was printed on another, and a store that is away costs no run."""

import time
from pathlib import Path

import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

from mle_assets.compute_logs import ObjectComputeLogManager
from storage.objects import StoreAway
from storage.waiting import waiting
from tests.object_store import ObjectStore

KEY = ["run-1", "compute_logs", "models"]


@pytest.fixture
def url(store: ObjectStore) -> str:
    return store.new_url("step-logs")


def manager(url: str, folder: Path) -> ObjectComputeLogManager:
    return ObjectComputeLogManager(url, str(folder))


def read(logs: ObjectComputeLogManager) -> bytes | None:
    content, _ = logs.get_log_data_for_type(KEY, ComputeIOType.STDOUT, 0, None)
    return content


def write(logs: ObjectComputeLogManager, text: str) -> None:
    with logs.open_log_stream(KEY, ComputeIOType.STDOUT) as stream:
        assert stream is not None
        stream.write(text)


def test_what_is_printed_on_one_machine_is_read_on_another(url: str, tmp_path: Path) -> None:
    write(manager(url, tmp_path / "worker"), "fitted in 3 s\n")
    webserver = manager(url, tmp_path / "webserver")
    assert webserver.is_capture_complete(KEY)
    assert read(webserver) == b"fitted in 3 s\n"
    assert webserver.get_log_metadata(KEY).stdout_location == f"{url}/run-1/compute_logs/models.out"


def test_what_was_printed_so_far_is_read_while_the_step_goes_on(url: str, tmp_path: Path) -> None:
    worker, webserver = manager(url, tmp_path / "worker"), manager(url, tmp_path / "webserver")
    path = Path(worker.local_manager.get_captured_local_path(KEY, "out"))
    path.parent.mkdir(parents=True)
    path.write_text("half\n")
    worker.on_progress(KEY)
    assert not webserver.is_capture_complete(KEY)
    assert read(webserver) == b"half\n"


def test_nothing_was_printed_by_a_step_that_nobody_knows(url: str, tmp_path: Path) -> None:
    assert read(manager(url, tmp_path)) is None


def test_the_logs_of_one_run_are_removed_and_no_others(url: str, tmp_path: Path) -> None:
    logs = manager(url, tmp_path)
    write(logs, "kept\n")
    logs.delete_logs(prefix=["run"])
    assert read(logs) == b"kept\n"
    logs.delete_logs(prefix=["run-1"])
    assert read(logs) is None


def test_a_store_that_is_away_costs_the_log_and_not_the_step(
    store: ObjectStore, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs = manager(url, tmp_path)
    with store.failing(status=503):
        write(logs, "lost\n")
    assert "What a step printed is not kept" in caplog.text
    assert read(logs) is None


def test_a_step_does_not_wait_for_the_store_to_keep_its_log(store: ObjectStore, url: str, tmp_path: Path) -> None:
    logs, start = manager(url, tmp_path), time.monotonic()
    with store.failing(status=503), waiting(600):
        write(logs, "lost\n")
    assert time.monotonic() - start < 60


def test_a_store_that_is_away_is_told_of_to_whoever_reads(store: ObjectStore, url: str, tmp_path: Path) -> None:
    write(manager(url, tmp_path / "worker"), "there\n")
    with store.failing(status=503, methods=["GET"]), pytest.raises(StoreAway):
        read(manager(url, tmp_path / "webserver"))
