"""The prediction log as the service writes it: what was answered, once each, and nothing that is nobody's business."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from model_registry.registries import Registries
from model_registry.store import Registry
from prediction_log.reader import read_records
from prediction_log.record import Prediction, Record
from tests.making import PROMOTE, publish
from tests.waiting import until


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One with a champion."""
    registry = FolderRegistry(tmp_path / "registry")
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    return registry


@contextmanager
def service(registry: Registry, folder: Path | str, **settings: object) -> Iterator[httpx.Client]:
    chosen = Settings(model_registry=str(registry.folder), prediction_log=str(folder), access_log=False, **settings)
    with TestClient(create_app(chosen)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def logged(folder: Path, prefix: str = "predictions") -> list[Record]:
    """All records, with every line whole."""
    parts = list(read_records(folder, prefix))
    assert not sum(part.cut + part.unknown for part in parts)
    return [record for part in parts for record in part.records]


def test_an_answer_is_logged_with_its_listing_its_model_and_its_probabilities(
    registry: Registry, tmp_path: Path
) -> None:
    with service(registry, tmp_path / "log") as client:
        answer = client.post("/classify?probabilities=true", json=EXAMPLE, headers={"X-Request-Id": "mine-1"})
    [record] = logged(tmp_path / "log")
    assert isinstance(record, Prediction)
    assert (record.request_id, record.index, record.market) == ("mine-1", None, "new-york")
    assert record.version == answer.headers["X-Model-Version"]
    assert record.category == answer.json()["price_category"]
    assert dict(zip(("Low", "Mid", "High", "Lux"), record.probabilities, strict=True)) == pytest.approx(
        answer.json()["probabilities"], abs=1e-6
    )
    assert {name: getattr(record.listing, name) for name in EXAMPLE} == EXAMPLE


def test_every_listing_of_a_batch_is_logged_with_its_place(registry: Registry, tmp_path: Path) -> None:
    rows = [{**EXAMPLE, "id": number} for number in range(600)]
    rows[300] = {"id": 300}
    with service(registry, tmp_path / "log") as client:
        answer = client.post("/classify/batch?partial=true", json=rows)
    records = logged(tmp_path / "log")
    assert [record.index for record in records] == [*range(300), *range(301, 600)]
    assert [record.listing.id for record in records] == [record.index for record in records]
    assert {record.request_id for record in records} == {answer.headers["X-Request-Id"]}


def test_what_is_refused_is_not_logged(registry: Registry, tmp_path: Path) -> None:
    with service(registry, tmp_path / "log") as client:
        assert client.post("/classify", json={**EXAMPLE, "beds": -1}).status_code == 400
    assert not (tmp_path / "log").exists()


def test_where_the_log_is_off_nothing_is_written_and_no_feedback_taken(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with service(registry, "") as client:
        assert client.post("/classify", json=EXAMPLE).status_code == 200
        assert client.post("/classify/batch", json=[EXAMPLE]).status_code == 200
        refused = client.post("/feedback", json={"request_id": "a", "price": 1})
        assert "\napi_log_records_total{" not in client.get("/metrics").text
    words = "No feedback is taken here: PREDICTION_LOG is empty."
    assert (refused.status_code, refused.json()["detail"]) == (404, words)
    assert sorted(tmp_path.rglob("*")) == before


def test_neither_the_address_of_a_client_nor_its_key_is_in_the_log(registry: Registry, tmp_path: Path) -> None:
    with service(registry, tmp_path / "log", api_keys="secret") as client:
        headers = {"X-API-Key": "secret", "User-Agent": "somebody", "X-Forwarded-For": "192.0.2.7"}
        assert client.post("/classify", json=EXAMPLE, headers=headers).status_code == 200
    [file] = (tmp_path / "log").glob("predictions-*.jsonl")
    content = file.read_text()
    assert not any(word in content for word in ("secret", "somebody", "192.0.2.7", "testclient"))


def test_a_share_is_logged_that_an_answers_name_decides(registry: Registry, tmp_path: Path) -> None:
    rows = [{**EXAMPLE, "id": number} for number in range(2_000)]
    kept = []
    for folder in ("one", "two"):
        with service(registry, tmp_path / folder, prediction_sample=0.25) as client:
            client.post("/classify/batch", json=rows, headers={"X-Request-Id": "mine"})
            for number in range(100):
                client.post("/classify", json=EXAMPLE, headers={"X-Request-Id": f"single-{number}"})
        kept.append([(record.request_id, record.index) for record in logged(tmp_path / folder)])
    assert kept[0] == kept[1], "whatever process answers"
    assert 400 < sum(index is not None for _, index in kept[0]) < 600
    assert 10 < sum(index is None for _, index in kept[0]) < 40


def test_a_folder_that_cannot_be_written_harms_no_answer_and_is_told(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no folder")
    with service(registry, tmp_path / "log") as client:
        assert client.post("/classify", json=EXAMPLE).status_code == 200
        until(lambda: "prediction_log" in client.get("/readyz").json())
        health = client.get("/readyz")
        assert (health.status_code, health.json()["status"]) == (200, "ready")
        assert "let it be a folder" in health.json()["prediction_log"]
        until(lambda: 'api_log_records_total{log="predictions",outcome="failed"} 1.0' in client.get("/metrics").text)
        assert 'api_log_failing{log="predictions"} 1.0' in client.get("/metrics").text
        assert client.post("/classify", json=EXAMPLE).status_code == 200


def test_what_was_written_waits_and_was_dropped_are_figures(registry: Registry, tmp_path: Path) -> None:
    with service(registry, tmp_path / "log") as client:
        client.post("/classify/batch", json=[EXAMPLE] * 50)
        until(lambda: 'api_log_records_total{log="predictions",outcome="written"} 50.0' in client.get("/metrics").text)
        told = client.get("/metrics").text
    assert 'api_log_queued{log="predictions"} 0.0' in told
    assert 'api_log_records_total{log="predictions",outcome="full"} 0.0' in told


def test_while_champions_are_swapped_each_answer_is_logged_once_with_the_model_that_gave_it(tmp_path: Path) -> None:
    registries = Registries(tmp_path / "registry")
    registry = registries.of("new-york")
    versions = [publish(registry, seed) for seed in range(2)]
    registry.promote(versions[0], PROMOTE, run_id="run-1", actor="test")
    answers, done = dict[str, tuple[str, str]](), threading.Event()
    chosen = Settings(model_registry=str(tmp_path / "registry"), prediction_log=str(tmp_path / "log"), access_log=False)
    with TestClient(create_app(chosen)) as client:
        until(lambda: client.get("/readyz").status_code == 200)

        def ask(number: int) -> None:
            while not done.is_set():
                answer = client.post("/classify", json={**EXAMPLE, "id": number})
                answers[answer.headers["X-Request-Id"]] = (
                    answer.headers["X-Model-Version"],
                    answer.json()["price_category"],
                )

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, number) for number in range(4)]
            for version in (versions[1], versions[0]):
                registry.promote(version, PROMOTE, run_id="run-1", actor="test")
                until(lambda version=version: client.get("/readyz").json().get("model_version") == version)
            done.set()
            for one in asking:
                one.result()
    records = logged(tmp_path / "log")
    assert {record.request_id: (record.version, record.category) for record in records} == answers
    assert len(records) == len(answers)
    assert {record.version for record in records} == set(versions)
