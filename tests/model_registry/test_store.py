"""A registry, in a folder and in an object store: whole versions, one pointer, a history that leads to it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model_registry.classifier import Classifier, ModelRefused
from model_registry.store import ChampionChanged, NothingToRollBackTo, Registry, UnknownVersion
from tests.making import KEEP, PROMOTE, manifest, model, publish
from tests.model_registry.stores import BOTH, Files, opened

pytestmark = BOTH


def promote(registry: Registry, version: str) -> None:
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")


def test_an_empty_registry_has_no_versions_no_champion_and_no_history(registry: Registry) -> None:
    assert (registry.versions(), registry.champion(), registry.history()) == ([], None, [])
    assert not registry.is_there()


def test_a_version_is_named_after_its_candidate_and_its_content(registry: Registry) -> None:
    content = model(0)
    version = registry.publish(manifest(content, "tree"), content, b"report")
    assert registry.versions() == [version]
    assert version == f"tree-{manifest(content).model.sha256[:12]}"
    assert list(Files(registry).all()) == [
        f"versions/{version}/{name}" for name in ("manifest.json", "model.onnx", "report.html")
    ]


def test_publishing_the_same_model_again_changes_nothing(registry: Registry) -> None:
    version = publish(registry, 0)
    before = registry.file(version, "manifest.json")
    assert publish(registry, 0) == version
    assert registry.file(version, "manifest.json") == before


def test_a_model_is_opened_compactly_for_who_keeps_it_alone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, classifier = list[bool](), Classifier

    def opened_so(content: bytes, *, compact: bool) -> Classifier:
        asked.append(compact)
        return classifier(content, compact=compact)

    version = publish(registry, 0)
    monkeypatch.setattr("model_registry.classifier.Classifier", opened_so)
    promote(registry, version)
    registry.problems()
    assert asked
    assert not any(asked)
    registry.open(version, compact=True)
    assert asked[-1]


def test_a_promotion_sets_the_pointer_and_adds_an_event(place: Path | str) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    registry = opened(place, lambda: now)
    version = publish(registry, 0)
    promote(registry, version)
    champion = registry.champion()
    assert champion
    assert (champion.version, champion.promoted_at, champion.run_id) == (version, now, "run-1")
    [event] = registry.history()
    assert (event.action, event.version, event.previous, event.sequence) == ("promotion", version, None, 1)
    assert event.decision == PROMOTE
    assert {"version", "promoted_at", "decision", "run_id"} <= set(json.loads(Files(registry).read("champion.json")))


def test_promoting_the_champion_again_changes_nothing(registry: Registry) -> None:
    version = publish(registry, 0)
    promote(registry, version)
    before = registry.champion()
    promote(registry, version)
    assert registry.champion() == before
    assert len(registry.history()) == 1


def test_a_refusal_is_recorded_and_the_champion_stays(registry: Registry) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)
    registry.refuse(second, KEEP, run_id="run-2", actor="test")
    champion = registry.champion()
    assert champion
    assert champion.version == first
    assert [(e.action, e.version, e.previous) for e in registry.history()] == [
        ("promotion", first, None),
        ("refusal", second, first),
    ]


def test_history_follows_the_champions(registry: Registry) -> None:
    versions = [publish(registry, seed) for seed in range(3)]
    for version in versions:
        promote(registry, version)
    assert [event.previous for event in registry.history()] == [None, *versions[:2]]
    assert [event.sequence for event in registry.history()] == [1, 2, 3]


@pytest.mark.parametrize("version", ["tree-000000000000", "", ".", "..", "../versions", "/etc"])
def test_a_version_that_is_not_there_is_refused(version: str, registry: Registry) -> None:
    publish(registry, 0)
    with pytest.raises(UnknownVersion, match="holds no version"):
        registry.open(version)
    with pytest.raises(UnknownVersion):
        promote(registry, version)
    assert registry.champion() is None


def test_a_damaged_version_is_not_promoted(registry: Registry) -> None:
    version = publish(registry, 0)
    Files(registry).write(f"versions/{version}/model.onnx", b"damaged")
    with pytest.raises(ModelRefused):
        promote(registry, version)
    assert registry.champion() is None


def test_reading_writes_nothing(registry: Registry) -> None:
    promote(registry, publish(registry, 0))
    before = Files(registry).all()
    registry.history()
    registry.champion()
    registry.versions()
    assert Files(registry).all() == before


def test_a_decision_about_another_champion_promotes_nothing(registry: Registry) -> None:
    first, second, third = (publish(registry, seed) for seed in range(3))
    promote(registry, first)
    with pytest.raises(ChampionChanged, match=f"{third} was compared with {second}, but {first} is the champion"):
        registry.promote(third, PROMOTE, run_id=None, actor="test", instead_of=second)
    with pytest.raises(ChampionChanged, match="was compared with no champion"):
        registry.promote(third, PROMOTE, run_id=None, actor="test", instead_of=None)
    assert registry.promote(third, PROMOTE, run_id=None, actor="test", instead_of=first).version == third
    assert [event.version for event in registry.history()] == [first, third]


def test_rollback_goes_back_one_champion_at_a_time(registry: Registry) -> None:
    versions = [publish(registry, seed) for seed in range(3)]
    for version in versions:
        promote(registry, version)
    assert registry.rollback(decision=PROMOTE, actor="test").version == versions[1]
    assert registry.rollback(decision=PROMOTE, actor="test").version == versions[0]
    with pytest.raises(NothingToRollBackTo):
        registry.rollback(decision=PROMOTE, actor="test")
    assert [event.action for event in registry.history()] == ["promotion"] * 3 + ["rollback"] * 2


def test_rollback_to_a_named_version_needs_no_champion_before_it(registry: Registry) -> None:
    version = publish(registry, 0)
    assert registry.rollback(version, decision=PROMOTE, actor="test").version == version
    assert [event.action for event in registry.history()] == ["rollback"]


def test_a_champion_that_was_rolled_back_from_may_be_pruned_and_the_ones_before_it_not(registry: Registry) -> None:
    versions = [publish(registry, seed) for seed in range(3)]
    for version in versions:
        promote(registry, version)
    registry.rollback(decision=PROMOTE, actor="test")
    assert registry.prune(keep=0) == [versions[2]]
    assert registry.problems() == {}
