"""An object store, through the client, against a real S3 protocol: what is promised of it, and every fault in words."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from storage import clients
from storage.objects import Changed, Objects, StoreAway, Tag, UnsafeStore
from tests.object_store import ObjectStore


@pytest.fixture
def objects(store: ObjectStore) -> Objects:
    return Objects(store.new_url())


def test_an_object_is_read_as_it_was_written(objects: Objects) -> None:
    objects.write("a/b", b"content")
    objects.write("a/b", b"other")
    assert objects.read("a/b") == b"other"
    assert b"".join(objects.blocks("a/b")) == b"other"
    assert objects.size("a/b") == 5
    assert objects.at("a").read("b") == b"other"


def test_what_is_not_there_is_named(objects: Objects) -> None:
    for read in (objects.read, lambda name: list(objects.blocks(name))):
        with pytest.raises(FileNotFoundError, match=rf"it is not there: '{objects.address}/a'"):
            read("a")
    assert objects.size("a") is None
    assert not objects.exists("a")
    objects.delete("a")


def test_an_object_that_is_too_large_is_not_read(objects: Objects) -> None:
    objects.write("a", b"12345")
    assert objects.read("a", most=5) == b"12345"
    with pytest.raises(OSError, match="it is larger than 4 bytes"):
        objects.read("a", most=4)


def test_an_object_is_sent_again_only_where_it_changed(objects: Objects, store: ObjectStore) -> None:
    objects.write("a", b"1")
    seen = objects.read_if_changed("a", None)
    assert seen is not None
    store.asked()
    assert objects.read_if_changed("a", seen.tag) is None
    assert [asked.rsplit(maxsplit=1)[-1] for asked in store.asked()] == ["304"]
    objects.write("a", b"2")
    changed = objects.read_if_changed("a", seen.tag)
    assert changed is not None
    assert changed.content == b"2"
    objects.delete("a")
    with pytest.raises(FileNotFoundError):
        objects.read_if_changed("a", changed.tag)


def test_of_all_who_create_an_object_at_once_one_wins(objects: Objects) -> None:
    won = at_once(16, lambda number: objects.create("a", b"%d" % number), FileExistsError)
    assert len(won) == 1
    assert objects.read("a") == b"%d" % won[0]


def test_of_all_who_replace_the_same_content_at_once_one_wins(objects: Objects) -> None:
    tag = objects.create("a", b"before")
    won = at_once(16, lambda number: objects.replace("a", b"%d" % number, tag), Changed)
    assert len(won) == 1
    assert objects.read("a") == b"%d" % won[0]


def at_once(writers: int, write: Callable[[int], object], refused: type[Exception]) -> list[int]:
    """Which of so many writers that write at the same time are not refused."""
    won, begin = list[int](), threading.Barrier(writers)

    def one(number: int) -> None:
        begin.wait()
        try:
            write(number)
        except refused:
            return
        won.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_nothing_is_replaced_that_is_gone(objects: Objects) -> None:
    tag = objects.create("a", b"1")
    objects.delete("a")
    with pytest.raises(Changed, match=f"{objects.address}/a is not any more what it was"):
        objects.replace("a", b"2", tag)
    assert not objects.exists("a")


def test_who_was_not_told_of_its_success_is_told_when_it_asks_again(objects: Objects, store: ObjectStore) -> None:
    with store.failing(lost=True, requests=1, methods=["PUT"]):
        tag = objects.create("a", b"1")
    with store.failing(lost=True, requests=1, methods=["PUT"]):
        objects.replace("a", b"2", tag)
    assert objects.read("a") == b"2"


def test_a_writer_asks_again_while_another_one_is_in_its_way(objects: Objects, store: ObjectStore) -> None:
    with store.failing(status=409, requests=2, methods=["PUT"]):
        tag = objects.create("a", b"1")
    with store.failing(status=409, requests=2, methods=["PUT"]):
        assert objects.create("a", b"1") == tag, "the other one has written the same"
    with store.failing(status=409, requests=2, methods=["PUT"]), pytest.raises(FileExistsError):
        objects.create("a", b"2")
    with store.failing(status=409, requests=6, methods=["PUT"]):
        objects.replace("a", b"2", tag)
    assert objects.read("a") == b"2"


def test_a_store_that_always_tells_of_another_writer_is_told_of(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.objects.CONFLICT_SECONDS", 0.01)
    objects = Objects(store.new_url(), retry_seconds=0.1)
    tag = objects.create("a", b"1")
    asking: list[Callable[[], object]] = [lambda: objects.create("b", b"1"), lambda: objects.replace("a", b"2", tag)]
    with store.failing(status=409, methods=["PUT"]):
        for ask in asking:
            with pytest.raises(StoreAway, match=r"cannot be written, for its store tells of another writer each time"):
                ask()
    assert [entry.name for entry in objects.entries()] == ["a"]
    assert objects.read("a") == b"1"


def test_objects_are_listed_by_their_beginnings(objects: Objects) -> None:
    for name in ("b", "a/1", "a/2/3", "ab", "c/1"):
        objects.write(name, name.encode())
    assert [entry.name for entry in objects.entries()] == ["a/1", "a/2/3", "ab", "b", "c/1"]
    assert [entry.name for entry in objects.entries("a/")] == ["a/1", "a/2/3"]
    assert [entry.name for entry in objects.entries("a")] == ["a/1", "a/2/3", "ab"]
    assert [entry.name for entry in objects.at("a").entries()] == ["1", "2/3"]
    [entry] = objects.entries("b")
    assert entry.size == 1
    assert abs(entry.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert objects.folders() == ["a", "c"]
    assert objects.folders(beneath="a") == ["2"]
    assert objects.folders(beneath="nothing") == []
    assert Objects(objects.address + "-other").entries() == []


@pytest.mark.slow
def test_more_objects_than_one_answer_names_are_listed(objects: Objects) -> None:
    for number in range(1_001):
        objects.write(f"{number:04d}", b"")
    assert len(objects.entries()) == 1_001


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"status": 403}, "403 Forbidden): see to the"),
        ({"status": 503}, "503 Service Unavailable): see to the store"),
        ({"status": 507}, "507 Insufficient Storage): see to the store"),
    ],
)
def test_a_store_that_fails_is_told_of_in_the_same_words_each_time(
    fault: dict[str, int], says: str, store: ObjectStore
) -> None:
    objects = Objects(store.new_url(), retry_seconds=0.1)
    tag = Tag('"1"', None)
    asking: list[Callable[[], object]] = [
        lambda: objects.read("a"),
        lambda: objects.write("a", b""),
        lambda: objects.create("a", b""),
        lambda: objects.replace("a", b"", tag),
        lambda: objects.delete("a"),
        lambda: objects.exists("a"),
        lambda: objects.entries("a"),
        lambda: objects.folders(),
        objects.probe,
    ]
    with store.failing(**fault):
        for ask in asking:
            told = list[str]()
            for _ in range(2):
                with pytest.raises(StoreAway) as raised:
                    ask()
                told.append(str(raised.value))
            if ask != objects.probe:  # each tries another object out
                assert told[0] == told[1]
            assert told[0].startswith(objects.address)
            assert says in told[0]


@pytest.mark.usefixtures("store")
def test_a_store_that_nobody_listens_for_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreAway, match=r"s3://bucket/x/a cannot be reached or its store fails"):
        Objects("s3://bucket/x", retry_seconds=0.1).read("a")


def test_a_large_object_may_take_longer_to_send_than_an_answer_may(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "READ_SECONDS", 0.3)
    objects = Objects(store.new_url(), retry_seconds=0.1)
    large = bytes(clients.QUICK_BYTES + 1)
    with store.failing(seconds=0.9, methods=["PUT"]):
        tag = objects.create("a", large)
        objects.replace("a", large + b"1", tag)
        objects.write("b", large)
        with pytest.raises(StoreAway):
            objects.write("c", b"a small one is not waited for like that")
    assert objects.read("a") == large + b"1"
    assert objects.read("b") == large


def test_a_store_that_keeps_conditions_passes_and_keeps_nothing(objects: Objects) -> None:
    objects.probe()
    assert objects.entries() == []


class Careless(Objects):
    """A store that takes conditions and does not keep them."""

    def create(self, name: str, content: bytes) -> Tag:
        self.write(name, content)
        return Tag("1", None)

    def replace(self, name: str, content: bytes, tag: Tag) -> Tag:
        self.write(name, content)
        return tag


def test_a_store_that_lets_two_writers_win_is_refused(store: ObjectStore) -> None:
    objects = Careless(store.new_url())
    with pytest.raises(UnsafeStore, match="lets two writers win who both asked to create one object"):
        objects.probe()
    assert objects.entries() == []


class Half(Objects):
    """A store that keeps only the condition that there is no object."""

    def replace(self, name: str, content: bytes, tag: Tag) -> Tag:
        self.write(name, content)
        return tag


def test_a_store_that_keeps_one_of_the_conditions_is_refused(store: ObjectStore) -> None:
    with pytest.raises(UnsafeStore, match="to replace the same state of one object"):
        Half(store.new_url()).probe()


NAMES = st.sampled_from(["a", "a/b", "b/c", "b/d/e", "ab"])


class Compared(RuleBasedStateMachine):
    """Any sequence of writes beside a dictionary."""

    store: ObjectStore

    def __init__(self) -> None:
        super().__init__()
        self.objects = Objects(self.store.new_url())
        self.expected: dict[str, bytes] = {}
        self.tags: dict[str, Tag] = {}

    @rule(name=NAMES, content=st.binary(max_size=4))
    def write(self, name: str, content: bytes) -> None:
        self.objects.write(name, content)
        self.expected[name] = content
        self.tags.pop(name, None)

    @rule(name=NAMES, content=st.binary(max_size=4))
    def create(self, name: str, content: bytes) -> None:
        if self.expected.get(name, content) == content:
            self.tags[name] = self.objects.create(name, content)
            self.expected[name] = content
        else:
            with pytest.raises(FileExistsError):
                self.objects.create(name, content)

    @rule(name=NAMES, content=st.binary(max_size=4))
    def replace(self, name: str, content: bytes) -> None:
        if name in self.tags:
            self.tags[name] = self.objects.replace(name, content, self.tags[name])
            self.expected[name] = content

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.objects.delete(name)
        self.expected.pop(name, None)
        self.tags.pop(name, None)

    @invariant()
    def it_holds_what_was_written(self) -> None:
        assert {entry.name: entry.size for entry in self.objects.entries()} == {
            name: len(content) for name, content in self.expected.items()
        }
        for name, content in self.expected.items():
            assert self.objects.read(name) == content


def test_any_sequence_of_writes_leaves_what_was_written_last(store: ObjectStore) -> None:
    Compared.store = store
    run_state_machine_as_test(Compared, settings=settings(max_examples=15, stateful_step_count=12, deadline=None))
