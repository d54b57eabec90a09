"""Who has time waits for a store that is away."""

import threading
import time
from collections.abc import Iterator

import pytest

from storage.errors import StoreAway, StoreRefuses
from storage.objects import Objects
from storage.waiting import AT_ONCE, each, patiently, waiting
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


def test_an_object_that_is_read_in_blocks_is_waited_for(store: ObjectStore) -> None:
    objects = Objects(store.new_url(), retry_seconds=0.1)
    objects.write("a", b"1")
    store.fail(status=503, requests=5)
    with waiting(60):
        assert b"".join(objects.blocks("a")) == b"1"


def test_who_waits_is_waited_for_in_the_threads_that_he_asks_in(store: ObjectStore) -> None:
    objects = Objects(store.new_url(), retry_seconds=0.1)
    objects.write("a", b"1")
    store.fail(status=503, requests=15)
    with waiting(60):
        assert list(each(objects.read, ["a"] * 3)) == [b"1"] * 3
    with store.failing(status=503), pytest.raises(StoreAway):
        list(each(objects.read, ["a"] * 3))


def test_so_many_are_asked_about_at_once_and_answered_in_order() -> None:
    together, answered = threading.Barrier(AT_ONCE), list[int]()

    def ask(number: int) -> int:
        together.wait(20)
        return -number

    def numbers() -> Iterator[int]:
        for number in range(10 * AT_ONCE):
            assert number <= len(answered) + 2 * AT_ONCE, "no more are taken than are soon asked about"
            yield number

    for one in each(ask, numbers()):
        answered.append(one)
    assert answered == [-number for number in range(10 * AT_ONCE)]


def test_after_an_error_no_more_are_asked_about() -> None:
    asked = list[int]()

    def ask(number: int) -> None:
        asked.append(number)
        raise StoreAway("away")

    with pytest.raises(StoreAway):
        list(each(ask, range(10 * AT_ONCE)))
    assert len(asked) <= 2 * AT_ONCE + 1


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
