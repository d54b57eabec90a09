"""Who has time waits for a store that is away."""

import threading
import time

import pytest

from storage.errors import StoreAway, StoreRefuses
from storage.objects import Objects
from storage.waiting import patiently, waiting
from tests.object_store import ObjectStore


def test_a_store_that_comes_back_in_time_was_never_away(store: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    objects = Objects(store.new_url(), retry_seconds=0.1)
    # More than the client itself asks again for.
    store.fail(status=503, requests=9)
    with waiting(60):
        objects.write("a", b"1")
        tag = objects.create("b", b"2")
    assert objects.read("a") == b"1"
    assert objects.read_if_changed("b", tag) is None
    [told] = [record.message for record in caplog.records if record.name == "storage"]
    assert "503 Service Unavailable" in told
    assert told.endswith("It is asked again for up to 60 s.")


def test_a_store_that_does_not_is_told_of_after_that_time(store: ObjectStore) -> None:
    objects, start = Objects(store.new_url(), retry_seconds=0.1), time.monotonic()
    with store.failing(status=503), waiting(1.2), pytest.raises(StoreAway, match="503"):
        objects.read("a")
    assert 1.2 <= time.monotonic() - start < 15


def test_nobody_else_waits(store: ObjectStore) -> None:
    objects, asked = Objects(store.new_url(), retry_seconds=0.1), list[BaseException]()

    def ask() -> None:
        try:
            objects.read("a")
        except StoreAway as error:
            asked.append(error)

    with store.failing(status=503), waiting(600):
        other = threading.Thread(target=ask)
        other.start()
        other.join(20)
    assert len(asked) == 1
    with store.failing(status=503), pytest.raises(StoreAway):
        objects.read("a")


def test_what_is_refused_is_not_waited_for(store: ObjectStore) -> None:
    objects = Objects(store.new_url(), retry_seconds=0.1)
    with store.failing(status=403), waiting(600):
        for ask in (lambda: objects.read("a"), objects.entries):
            with pytest.raises(StoreRefuses, match=r"is refused by its store .*403.*see to the credentials"):
                ask()


def test_a_question_within_another_is_waited_for_once() -> None:
    asked = list[str]()

    @patiently
    def inner() -> None:
        asked.append("inner")
        raise StoreAway("away")

    @patiently
    def outer() -> None:
        asked.append("outer")
        inner()

    with waiting(1.5), pytest.raises(StoreAway):
        outer()
    assert asked == ["outer", "inner"] * (len(asked) // 2)
    assert 2 <= len(asked) // 2 <= 3
