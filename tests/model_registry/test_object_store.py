"""The registry in an object store: one winner of all writers, a pointer that follows, and every fault in words."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest

from model_registry import object_store
from model_registry.classifier import ModelRefused
from model_registry.disk import RegistryBusy
from model_registry.history import Champion, Event, HistoryDamaged
from model_registry.object_claims import Claims
from model_registry.object_history import ObjectHistory
from model_registry.object_store import ObjectRegistry
from model_registry.registries import Registries
from model_registry.store import ChampionChanged, Registry, UnknownVersion, utc_now
from storage.errors import StoreAway, UnsafeStore
from storage.objects import Entry, Objects
from storage.waiting import waiting
from tests.making import KEEP, PROMOTE, manifest, model, publish
from tests.model_registry.stores import Files, opened
from tests.object_store import ObjectStore

MODELS = [model(seed) for seed in range(3)]
MANIFESTS = [manifest(content) for content in MODELS]


@pytest.fixture
def place(store: ObjectStore) -> str:
    return store.new_url()


def promote(registry: Registry, version: str) -> Champion:
    return registry.promote(version, PROMOTE, run_id=None, actor="test")


def later(place: str, hours: float) -> Registry:
    """The registry as it is to somebody some hours later."""
    return opened(place, lambda: utc_now() + timedelta(hours=hours))


def behind(registry: Registry, versions: list[str]) -> None:
    """Leave a registry as a writer does that is killed after the second promotion, before the pointer follows."""
    promote(registry, versions[0])
    pointer = Files(registry).read("champion.json")
    promote(registry, versions[1])
    Files(registry).write("champion.json", pointer)


def test_a_look_at_the_champion_is_one_conditional_request(place: str, store: ObjectStore) -> None:
    registries = Registries(place)
    promote(registries.of("new-york"), publish(registries.of("new-york"), 0))
    seen = registries.of("new-york").champion()
    store.asked()
    assert registries.of("new-york").champion() == seen
    assert [asked.split()[0::2] for asked in store.asked()] == [["GET", "304"]]


def test_what_is_of_use_only_in_a_folder_is_not_there_and_markets_are_parts_of_the_url(place: str) -> None:
    registries = Registries(place)
    assert registries.markets() == []
    publish(registries.of("new-york"), 0)
    assert registries.markets() == ["new-york"]
    assert registries.of("new-york").place == f"{place}/new-york"


@pytest.mark.parametrize(("writers", "rounds"), [(6, 2), pytest.param(16, 30, marks=pytest.mark.slow)])
def test_of_all_who_promote_in_place_of_the_same_champion_one_wins_each_round(
    writers: int, rounds: int, place: str
) -> None:
    first = opened(place)
    versions = [publish(first, seed) for seed in range(3)]
    promote(first, versions[0])
    registries = [opened(place) for _ in range(writers)]
    begin, over, seen = threading.Barrier(writers), threading.Event(), set[str | None]()

    def write(number: int, champion: str) -> bool:
        challenger = versions[(versions.index(champion) + 1 + number % 2) % 3]
        begin.wait()
        try:
            registries[number].promote(challenger, PROMOTE, run_id=None, actor=f"writer {number}", instead_of=champion)
        except ChampionChanged:
            return False
        history = registries[number].history()
        return any(event.previous == champion and event.actor == f"writer {number}" for event in history[-1:])

    def read() -> None:
        reader = opened(place)
        while not over.is_set():
            champion = reader.champion()
            seen.add(None if champion is None else reader.open(champion.version).manifest.version)

    with ThreadPoolExecutor(writers + 1) as threads:
        reading = threads.submit(read)
        for turn in range(rounds):
            champion = first.champion()
            assert champion
            won = list(threads.map(write, range(writers), [champion.version] * writers))
            # Whoever was second with the same challenger finds it promoted, and changes nothing.
            assert sum(won) == 1
            assert len(first.history()) == turn + 2
        over.set()
        reading.result()
    assert [event.sequence for event in first.history()] == list(range(1, rounds + 2))
    assert seen <= set(versions)
    assert first.problems() == {}


def test_who_comes_second_with_a_refusal_takes_the_next_number(place: str) -> None:
    first = publish(opened(place), 0)
    with ThreadPoolExecutor(8) as threads:
        refused = list(
            threads.map(
                lambda number: opened(place).refuse(first, KEEP, run_id=None, actor=f"writer {number}"), range(8)
            )
        )
    assert sorted(event.sequence for event in refused) == list(range(1, 9))
    assert opened(place).history() == sorted(refused, key=lambda event: event.sequence)


def test_readers_of_a_pointer_that_lags_are_given_the_champion_before_until_somebody_writes(place: str) -> None:
    registry = opened(place)
    versions = [publish(registry, seed) for seed in range(3)]
    behind(registry, versions)
    reader = opened(place)
    champion = reader.champion()
    assert champion
    assert champion.version == versions[0]
    assert [event.version for event in reader.history()] == versions[:2]
    assert reader.problems() == {
        "champion.json": f"champion.json names {versions[0]}, and the history leads to {versions[1]}: `models verify "
        "--repair` writes it anew from the history, as every writer does"
    }
    with pytest.raises(ChampionChanged, match=f"but {versions[1]} is the champion by now"):
        registry.promote(versions[2], PROMOTE, run_id=None, actor="test", instead_of=versions[0])
    assert reader.champion() == Champion.of(reader.history()[-1])
    assert reader.problems() == {}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[" * 100_000, b'{"version": "tree"}'])
def test_a_pointer_that_is_gone_or_damaged_is_written_anew_from_the_history(content: bytes | None, place: str) -> None:
    registry = opened(place)
    champion = promote(registry, publish(registry, 0))
    registry.refuse(publish(registry, 1), KEEP, run_id=None, actor="test")
    if content is None:
        Files(registry).remove("champion.json")
        assert opened(place).champion() is None
    else:
        Files(registry).write("champion.json", content)
        with pytest.raises(HistoryDamaged, match="champion.json is damaged .*: `models verify --repair` writes it"):
            opened(place).champion()
    opened(place).repair()
    assert opened(place).champion() == champion
    assert opened(place).problems() == {}


def test_an_event_that_was_lost_is_restored_from_the_pointer_and_two_are_told(place: str) -> None:
    registry = opened(place)
    versions = [publish(registry, seed) for seed in range(3)]
    for version in versions:
        promote(registry, version)
    history = registry.history()
    Files(registry).remove("history/0000000003.json")
    opened(place).repair()
    assert opened(place).history() == history
    for number in (2, 3):
        Files(registry).remove(f"history/000000000{number}.json")
    with pytest.raises(HistoryDamaged, match="ends with event 1, and champion.json is of event 3: restore"):
        opened(place).repair()


def test_an_event_that_is_missing_or_damaged_is_found(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    for _ in range(3):
        registry.refuse(version, KEEP, run_id=None, actor="test")
    second = Files(registry).read("history/0000000002.json")
    Files(registry).remove("history/0000000002.json")
    assert opened(place).problems() == {
        "history": "history/ lacks an object, for its numbers do not count up one by one: restore it"
    }
    for content, words in ((b"{", "is damaged"), (second.replace(b'"sequence":2', b'"sequence":7'), "it is event 7")):
        Files(registry).write("history/0000000002.json", content)
        [(name, problem)] = opened(place).problems().items()
        assert name == "history"
        assert problem.startswith("history/0000000002.json is damaged")
        assert words in problem


def test_an_event_that_is_too_large_is_not_read(place: str) -> None:
    registry = opened(place)
    registry.refuse(publish(registry, 0), KEEP, run_id=None, actor="test")
    Files(registry).write("history/0000000001.json", b"x" * 1_000_001)
    with pytest.raises(OSError, match="it is larger than 1,000,000 bytes"):
        opened(place).history()


def test_a_version_without_a_manifest_is_none_and_is_no_trouble_to_who_publishes_it(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    before = Files(registry).all()
    Files(registry).remove(f"versions/{version}/manifest.json")
    Files(registry).write(f"versions/{version}/report.html", b"that of a run which was killed")
    assert registry.versions() == []
    with pytest.raises(UnknownVersion):
        registry.open(version)
    assert publish(registry, 0) == version
    assert registry.open(version).report == b"<html>report</html>"
    assert registry.file(version, "report.html") == b"<html>report</html>"
    assert Files(registry).read(f"versions/{version}/model.onnx") == before[f"versions/{version}/model.onnx"]


def test_a_version_without_a_manifest_goes_after_an_hour(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    Files(registry).remove(f"versions/{version}/manifest.json")
    later(place, 0.5).prune(9)
    assert Files(registry).all() != {}
    later(place, 1.5).prune(9)
    assert Files(registry).all() == {}


def test_another_model_in_the_place_of_a_version_is_refused(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    Files(registry).remove(f"versions/{version}")
    Files(registry).write(f"versions/{version}/model.onnx", b"something else")
    with pytest.raises(ModelRefused, match=f"there is another model.onnx of that name.*remove {place}"):
        publish(registry, 0)
    assert registry.versions() == []


def test_a_claim_that_is_made_while_others_are_swept_stays(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects, entries, made = Objects(place), Objects.entries, list[str]()

    def entries_and_then_a_writer(listed: Objects, prefix: str = "") -> list[Entry]:
        found = entries(listed, prefix)
        if prefix == "claims/":
            made.append(f"claims/a/of-writer-{len(made)}")
            objects.create(made[-1], b"")
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Objects, "entries", entries_and_then_a_writer)
        Claims(objects, utc_now, 1).sweep()
    assert made
    assert [entry.name for entry in objects.entries("claims/")] == made


def test_a_version_that_somebody_writes_about_is_not_pruned_until_the_claim_lapses(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    Files(registry).write(f"claims/{version}/of-a-killed-writer", b"")
    assert registry.prune(0) == []
    assert later(place, 2).prune(0) == [version]
    assert Files(registry).all() == {}


def test_a_version_that_is_being_removed_is_not_promoted_until_that_lapses(place: str) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    Files(registry).write(f"removals/{version}/of-a-killed-pruner", b"")
    with pytest.raises(RegistryBusy, match=f"{version} has been under removal from .* for 0.3 s: try again in five"):
        promote(opened(place, patience=0.3), version)
    assert promote(later(place, 0.2), version).version == version


def test_of_who_promotes_and_who_prunes_at_once_one_gives_way(place: str) -> None:
    for _ in range(5):
        registry = opened(place)
        version = publish(registry, 0)
        with ThreadPoolExecutor(2) as threads:
            pruned = threads.submit(opened(place).prune, 0)
            promoted = threads.submit(promote, opened(place), version)
            kept = promoted.exception() is None
            assert isinstance(promoted.exception(), (UnknownVersion, RegistryBusy, ModelRefused, type(None)))
        assert (pruned.result() == [version]) != kept
        assert registry.problems() == {}
        if kept:
            return


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_store_that_loses_an_answer_is_asked_again_and_nothing_is_done_twice(
    lost: int, place: str, store: ObjectStore
) -> None:
    registry = opened(place)
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)
    with store.failing(lost=True, requests=lost % 3 + 1, path=("history", "champion", "claims")[lost % 3]):
        promote(registry, second)
    assert [event.version for event in opened(place).history()] == [first, second]
    assert opened(place).problems() == {}


def test_a_store_that_is_only_read_refuses_the_writer_in_words_and_still_serves(place: str, store: ObjectStore) -> None:
    registry = opened(place)
    first, second = publish(registry, 0), publish(registry, 1)
    champion = promote(registry, first)
    with store.failing(status=403, methods=["PUT", "POST", "DELETE"]):
        with pytest.raises(StoreAway, match="is refused by its store .*: see to the credentials and what they may do"):
            promote(registry, second)
        reader = opened(place)
        assert reader.champion() == champion
        assert reader.open(first).manifest.version == first
    assert len(opened(place).history()) == 1


def test_a_store_that_is_away_is_told_and_no_version_is_called_damaged(place: str, store: ObjectStore) -> None:
    registry = opened(place)
    version = publish(registry, 0)
    with store.failing(status=403):
        for read in (registry.versions, registry.champion, registry.history, registry.problems, registry.manifests):
            with pytest.raises(StoreAway):
                read()
        for of_version in (registry.open, registry.manifest):
            with pytest.raises(StoreAway):
                of_version(version)
    assert registry.problems() == {}


def test_a_store_that_lets_two_writers_win_is_refused_before_anything_is_written(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(objects: Objects, name: str, content: bytes) -> None:
        objects.write(name, content)

    object_store._PROBED.discard(place)
    monkeypatch.setattr(Objects, "create", create)
    with pytest.raises(UnsafeStore, match="its store lets two writers win who both asked to create one object"):
        publish(opened(place), 0)
    assert Files(opened(place)).all() == {}


def test_it_is_tried_out_once_by_a_process_and_not_by_who_only_reads(place: str, store: ObjectStore) -> None:
    opened(place).history()
    assert not [asked for asked in store.asked() if ".probe" in asked]
    publish(opened(place), 0)
    assert [asked for asked in store.asked() if ".probe" in asked]
    publish(opened(place), 1)
    assert not [asked for asked in store.asked() if ".probe" in asked]


def test_a_shadow_that_is_set_while_the_promoted_one_is_removed_stays(place: str) -> None:
    registry = opened(place)
    first, second = publish(registry, 0), publish(registry, 1)
    registry.set_shadow(first, reason="For the test.", actor="test")
    promote(registry, first)
    assert Files(registry).read("shadow.json") == b"null"
    assert registry.set_shadow(second, reason="For the test.", actor="test") == opened(place).shadow()


def test_a_promotion_after_many_refusals_finds_its_champion(place: str) -> None:
    registry = opened(place)
    assert isinstance(registry, ObjectRegistry)
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)
    event = registry.history()[0]
    objects = Objects(registry.place)
    for sequence in range(2, 40):
        refusal = msgspec.structs.replace(event, sequence=sequence, action="refusal", version=second, previous=first)
        objects.create(f"history/{sequence:010d}.json", msgspec.json.encode(refusal))
    event = opened(place).promote(second, PROMOTE, run_id=None, actor="test", instead_of=first)
    assert (event.sequence, event.previous) == (40, first)


def test_an_event_is_no_ones_who_comes_second(place: str) -> None:
    registry = opened(place)
    promote(registry, publish(registry, 0))
    [event] = registry.history()
    assert isinstance(registry, ObjectRegistry)
    history = registry._history
    assert isinstance(history, ObjectHistory)
    another: Event = msgspec.structs.replace(event, actor="another")
    assert not history.record(another)
    assert history.record(event)  # the very same: its writer was not told of its success
    assert opened(place).history() == [event]


@pytest.mark.parametrize("path", ["/history/0", "manifest.json"])
def test_who_waits_for_a_store_waits_for_all_that_is_read_at_once(path: str, place: str, store: ObjectStore) -> None:
    for seed in range(2):
        promote(opened(place), publish(opened(place), seed))
    store.fail(status=503, methods=["GET"], path=path, requests=12)
    with waiting(60):
        registry = opened(place)
        assert (len(registry.history()), len(registry.manifests()[0])) == (2, 2)
