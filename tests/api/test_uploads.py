"""A service whose log is at a URL: what it answered comes there, and no answer depends on the store."""

import time
from pathlib import Path

import pytest

from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from model_registry.settings import BadSetting
from model_registry.store import Registry
from prediction_log.files import log_files
from prediction_log.object_log import ObjectLog
from storage.objects import Objects
from tests.api.server import serving
from tests.api.test_predictions import service
from tests.making import PROMOTE, publish
from tests.object_store import ObjectStore
from tests.waiting import until


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One with a champion."""
    registry = FolderRegistry(tmp_path / "registry")
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    return registry


@pytest.fixture
def url(store: ObjectStore) -> str:
    return store.new_url("log")


def there(url: str) -> list[str]:
    """The request ids of all records of both kinds."""
    log = ObjectLog(Objects(url))
    parts = [part for one in log.files() for part in log.read(one)]
    assert not sum(part.cut + part.unknown for part in parts)
    return sorted(record.request_id or "" for part in parts for record in part.records)


def ask(client: object, id_: str) -> int:
    return client.post("/classify", json=EXAMPLE, headers={"X-Request-Id": id_}).status_code  # pyright: ignore


def test_answers_and_feedback_are_in_the_store_soon_and_those_of_the_end_when_it_ends(
    registry: Registry, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.predictions.UPLOAD_SECONDS", 0.3)
    with service(registry, url, prediction_spool=str(tmp_path / "spool")) as client:
        assert ask(client, "soon") == 200
        assert client.post("/feedback", json={"request_id": "soon", "price": 90}).status_code == 202
        until(lambda: there(url) == ["soon", "soon"])
        figures = client.get("/metrics").text
        assert "\napi_log_upload_failing 0.0" in figures
        assert "\napi_log_upload_waiting 0.0" in figures
        assert "\napi_log_uploads_total 2.0" in figures
        assert client.get("/readyz").json().get("prediction_log") is None
        monkeypatch.setattr("api.predictions.UPLOAD_SECONDS", 60)
        assert ask(client, "last") == 200
    assert there(url) == ["last", "soon", "soon"]
    assert log_files(tmp_path / "spool") == []


def test_a_store_that_is_away_harms_no_answer_and_is_told_and_then_it_catches_up(
    registry: Registry, tmp_path: Path, store: ObjectStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.predictions.UPLOAD_SECONDS", 0.3)
    with store.failing(seconds=30), service(registry, url, prediction_spool=str(tmp_path / "spool")) as client:
        begun = time.monotonic()
        assert [ask(client, f"r{number}") for number in range(50)] == [200] * 50
        assert client.post("/feedback", json={"request_id": "r1", "price": 90}).status_code == 202
        assert time.monotonic() - begun < 5
        store.fail(status=403)
        until(lambda: "\napi_log_upload_failing 1.0" in client.get("/metrics").text, seconds=60)
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert "to be uploaded" in ready.json()["prediction_log"]
        assert ask(client, "late") == 200
        store.fail()
        until(lambda: len(there(url)) == 52, seconds=60)
        until(lambda: client.get("/readyz").json().get("prediction_log") is None)


def test_what_a_killed_service_logged_is_uploaded_by_the_next_one(registry: Registry, tmp_path: Path, url: str) -> None:
    spool = tmp_path / "spool"
    with serving(registry.folder, tmp_path / "api.log", PREDICTION_LOG=url, PREDICTION_SPOOL=str(spool)) as server:
        until(lambda: server.client.get("/readyz").status_code == 200)
        assert ask(server.client, "a") == 200
        until(lambda: any(file.size for file in log_files(spool)))
        server.process.kill()
    assert there(url) == []
    with serving(registry.folder, tmp_path / "api.log", PREDICTION_LOG=url, PREDICTION_SPOOL=str(spool)) as server:
        until(lambda: there(url) == ["a"])
        until(lambda: server.client.get("/readyz").status_code == 200)
        assert ask(server.client, "b") == 200
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert there(url) == ["a", "b"]


def test_a_service_ends_in_time_though_the_store_hangs_and_its_file_stays_for_the_next(
    registry: Registry, tmp_path: Path, store: ObjectStore, url: str
) -> None:
    spool = tmp_path / "spool"
    with (
        store.failing(seconds=60),
        serving(registry.folder, tmp_path / "api.log", PREDICTION_LOG=url, PREDICTION_SPOOL=str(spool)) as server,
    ):
        until(lambda: server.client.get("/readyz").status_code == 200)
        assert ask(server.client, "a") == 200
        server.process.terminate()
        assert server.process.wait(20) == 0
    [file] = log_files(spool)
    assert not file.open


def test_a_url_of_another_scheme_and_a_spool_that_is_none_are_refused_in_words() -> None:
    with pytest.raises(BadSetting, match="PREDICTION_LOG cannot be used: http://host/log names no place that can be"):
        Settings(prediction_log="http://host/log")
    with pytest.raises(BadSetting, match="PREDICTION_SPOOL='s3://bucket/spool' cannot be used: give a folder of this"):
        Settings(prediction_spool="s3://bucket/spool")
