"""Feedback: strictly read, taken down whole or not at all, and nothing is looked up."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from prediction_log.reader import read_records
from prediction_log.record import Feedback
from tests.waiting import until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The folder of the log."""
    return tmp_path / "log"


@pytest.fixture
def client(log: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A service without any model: feedback needs none."""
    settings = Settings(model_registry=str(tmp_path / "registry"), prediction_log=str(log), access_log=False)
    with TestClient(create_app(settings)) as running:
        yield running


def told(log: Path, client: httpx.Client) -> list[Feedback]:
    """What was taken down, once all that waits is written."""
    until(lambda: 'api_log_queued{log="feedback"} 0.0' in client.get("/metrics").text)
    return [record for part in read_records(log, "feedback") for record in part.records]


def test_one_is_taken_down_with_the_time(log: Path, client: httpx.Client) -> None:
    before = time.time()
    answer = client.post("/feedback", json={"request_id": "mine-1", "price": 129})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    [record] = told(log, client)
    assert before <= record.time <= time.time()
    assert record == Feedback(record.time, "mine-1", price=129.0)


def test_many_are_taken_down_in_their_order(log: Path, client: httpx.Client) -> None:
    rows = [
        {"request_id": "mine", "index": 7, "price_category": "Lux", "observed_at": "2026-11-24T13:00:00+01:00"},
        *({"request_id": f"one-{number}", "price": number + 1} for number in range(9_999)),
    ]
    assert client.post("/feedback", json=rows).json() == {"accepted": 10_000}
    records = told(log, client)
    assert records[0] == Feedback(records[0].time, "mine", 7, None, "Lux", 1_795_521_600.0)
    assert [record.price for record in records[1:]] == [float(number + 1) for number in range(9_999)]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"request_id": "a"}', "give either price or price_category"),
        ('{"request_id": "a", "price": 1, "price_category": "Low"}', "give either price or price_category"),
        ('{"price": 1}', "request_id: missing required field"),
        ('{"request_id": "a b", "price": 1}', "request_id: expected str matching regex"),
        ('{"request_id": "a\\n", "price": 1}', "request_id ends with a line break"),
        ('{"request_id": "a", "price": "1"}', "price: expected float, got str"),
        ('{"request_id": "a", "price": null}', "price: expected float, got null"),
        ('{"request_id": "a", "price": 0}', "price: expected float > 0"),
        ('{"request_id": "a", "price": 1e400}', "price: "),
        ('{"request_id": "a", "price": NaN}', "JSON is malformed"),
        ('{"request_id": "a", "price_category": "Cheap"}', "price_category: invalid enum value 'Cheap'"),
        ('{"request_id": "a", "price": 1, "index": -1}', "index: expected int >= 0"),
        ('{"request_id": "a", "price": 1, "index": 10000}', "index: expected int <= 9999"),
        ('{"request_id": "a", "price": 1, "observed_at": "2026-11-24T13:00:00"}', "observed_at: expected datetime"),
        ('{"request_id": "a", "price": 1, "observed_at": "0001-01-01T00:00:00Z"}', "observed_at is not between"),
        ('{"request_id": "a", "price": 1, "comment": "nice"}', "comment: unknown field"),
        ('{"request_id": "a", "price": 1, "price": 2}', "price: stands more than once"),
        ("[]", "expected array of length >= 1"),
        ("7", "expected object, got int"),
        ('[{"request_id": "a", "price": 1}, {"request_id": "b"}]', "[1]: give either price or price_category"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_taken_down(body: str, fault: str, log: Path, client: httpx.Client) -> None:
    answer = client.post("/feedback", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"Invalid JSON input: {fault}")
    assert told(log, client) == []


def test_a_whole_number_may_be_written_as_a_float_where_an_integer_is_meant(log: Path, client: httpx.Client) -> None:
    body = '{"request_id": "a", "price": 1, "index": 2.0}'
    assert client.post("/feedback", content=body, headers={"Content-Type": "application/json"}).status_code == 202
    assert told(log, client)[0].index == 2


@pytest.mark.parametrize(("feedback_keys", "good"), [("", "for-all"), ("for-feedback", "for-feedback")])
def test_it_needs_a_key_where_keys_are_set_its_own_if_it_has_one(
    feedback_keys: str, good: str, log: Path, tmp_path: Path
) -> None:
    settings = Settings(
        model_registry=str(tmp_path), prediction_log=str(log), api_keys="for-all", feedback_keys=feedback_keys
    )
    with TestClient(create_app(settings)) as client:
        for key in ("", "for-all", "for-feedback"):
            answer = client.post("/feedback", json={"request_id": "a", "price": 1}, headers={"X-API-Key": key})
            assert answer.status_code == (202 if key == good else 401)


def test_what_cannot_be_kept_is_not_accepted(log: Path, client: httpx.Client) -> None:
    log.write_text("no folder")
    answers = [client.post("/feedback", json={"request_id": "a", "price": 1})]
    deadline = time.monotonic() + 10
    while answers[-1].status_code == 202 and time.monotonic() < deadline:
        time.sleep(0.1)
        answers.append(client.post("/feedback", json={"request_id": "a", "price": 1}))
    assert answers[-1].status_code == 503
    assert answers[-1].headers["Retry-After"] == "5"
    assert "let it be a folder" in answers[-1].json()["detail"]
