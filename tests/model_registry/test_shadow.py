"""The shadow's pointer: set beside the champion's, cleared when it becomes the champion, and in nobody's way."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model_registry.archive import export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.registries import Registries
from model_registry.shadow import Shadow, ShadowDamaged, ShadowRefused
from model_registry.store import Registry, UnknownVersion
from tests.making import KEEP, LISBON, PROMOTE, publish
from tests.model_registry.stores import BOTH, Files, opened

pytestmark = BOTH


def set_shadow(registry: Registry, version: str) -> Shadow:
    return registry.set_shadow(version, reason="It looked better in May.", actor="ann")


def promote(registry: Registry, version: str) -> None:
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")


def left(registry: Registry) -> bool:
    return Files(registry).has_shadow()


def test_a_registry_has_no_shadow_until_one_is_set(registry: Registry) -> None:
    assert registry.shadow() is None
    promote(registry, publish(registry, 0))
    assert (registry.shadow(), left(registry)) == (None, False)


def test_it_says_which_version_since_when_by_whom_and_why(place: Path | str) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    registry = opened(place, lambda: now)
    version = publish(registry, 0)
    shadow = set_shadow(registry, version)
    assert shadow == Shadow(version=version, set_at=now, actor="ann", reason="It looked better in May.")
    assert registry.shadow() == shadow
    assert json.loads(Files(registry).read("shadow.json")) == {
        "version": version,
        "set_at": "2026-11-23T12:00:00Z",
        "actor": "ann",
        "reason": "It looked better in May.",
    }


def test_another_one_takes_its_place_and_the_same_one_again_changes_nothing(
    registry: Registry, versions: list[str]
) -> None:
    first = set_shadow(registry, versions[2])
    assert registry.set_shadow(versions[2], reason="again", actor="bob") == first
    assert registry.shadow() == first
    assert set_shadow(registry, versions[0]).version == versions[0]
    assert registry.shadow() == set_shadow(registry, versions[0])
    assert not [name for name in Files(registry).all() if name.startswith(("incoming/", "claims/"))]


def test_it_is_no_event_of_the_history_and_no_champion(registry: Registry, versions: list[str]) -> None:
    before = (registry.champion(), registry.history())
    set_shadow(registry, versions[2])
    registry.clear_shadow()
    assert (registry.champion(), registry.history()) == before


def test_clearing_it_leaves_none_and_clearing_none_is_well(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    for _ in range(2):
        registry.clear_shadow()
        assert (registry.shadow(), left(registry)) == (None, False)


def test_the_champion_is_not_its_own_shadow(registry: Registry, versions: list[str]) -> None:
    with pytest.raises(ShadowRefused, match=f"{versions[1]} is the champion: its shadow has to be another version"):
        set_shadow(registry, versions[1])
    assert not left(registry)


@pytest.mark.parametrize("version", ["tree-000000000000", "", "..", "../versions"])
def test_a_version_that_is_not_there_is_not_set(version: str, registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    with pytest.raises(UnknownVersion, match="holds no version"):
        set_shadow(registry, version)
    assert registry.shadow() == set_shadow(registry, versions[2])


def test_a_damaged_version_is_not_set(registry: Registry, versions: list[str]) -> None:
    Files(registry).write(f"versions/{versions[2]}/model.onnx", b"damaged")
    with pytest.raises(ModelRefused, match="its SHA-256 or size differs"):
        set_shadow(registry, versions[2])
    assert not left(registry)


@pytest.mark.usefixtures("versions")
def test_a_version_of_another_market_is_not_set(registry: Registry, place: Path | str) -> None:
    lisbon = Registries(place).of("lisbon")
    version = publish(lisbon, 4, market=LISBON)
    if isinstance(place, Path):
        (place / "new-york" / "versions" / version).mkdir()
    for name, content in Files(lisbon).all().items():
        Files(registry).write(name, content)
    with pytest.raises(ModelRefused, match="it is lisbon's, and this registry new-york's"):
        set_shadow(registry, version)
    assert set_shadow(lisbon, version).version == version
    assert registry.shadow() is None


@pytest.mark.parametrize("way", ["promotion", "rollback"])
def test_when_it_becomes_the_champion_there_is_no_shadow(way: str, registry: Registry, versions: list[str]) -> None:
    becoming = versions[2] if way == "promotion" else versions[0]
    set_shadow(registry, becoming)
    if way == "promotion":
        promote(registry, becoming)
    else:
        registry.rollback(decision=PROMOTE, actor="test")
    champion = registry.champion()
    assert champion
    assert champion.version == becoming
    assert (registry.shadow(), left(registry)) == (None, False)


def test_it_outlives_the_promotion_of_another_version(registry: Registry, versions: list[str]) -> None:
    shadow = set_shadow(registry, versions[0])
    promote(registry, versions[2])
    registry.refuse(versions[1], KEEP, run_id=None, actor="test")
    assert registry.shadow() == shadow


def test_one_that_a_killed_writer_or_an_older_version_left_as_the_champion_is_none_and_is_swept(
    registry: Registry, versions: list[str]
) -> None:
    set_shadow(registry, versions[2])
    pointer = Files(registry).read("shadow.json")
    promote(registry, versions[2])
    Files(registry).write("shadow.json", pointer)
    assert registry.shadow() is None
    assert registry.problems() == {}
    # Were it still there after the rollback, the version that was rolled back from would be the shadow again.
    registry.rollback(decision=PROMOTE, actor="test")
    assert (registry.shadow(), left(registry)) == (None, False)


def test_it_is_never_pruned(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    assert registry.prune(keep=0) == []
    registry.clear_shadow()
    assert registry.prune(keep=0) == [versions[2]]


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b"\xff", b"[" * 100_000, b'{"version": "tree", "more": 1}'])
def test_a_damaged_pointer_is_told_with_its_cure_and_keeps_nobody_from_promoting(
    content: bytes, registry: Registry, versions: list[str]
) -> None:
    Files(registry).write("shadow.json", content)
    words = r"shadow.json is damaged .*: remove it with `models shadow --none`, and set the shadow again"
    with pytest.raises(ShadowDamaged, match=words):
        registry.shadow()
    with pytest.raises(ShadowDamaged, match=words):
        registry.prune(keep=0)
    assert list(registry.problems()) == ["shadow.json"]
    promote(registry, versions[2])
    registry.rollback(decision=PROMOTE, actor="test")
    assert Files(registry).read("shadow.json") == content
    registry.clear_shadow()
    assert (registry.problems(), left(registry)) == ({}, False)


def test_setting_it_mends_a_damaged_pointer(registry: Registry, versions: list[str]) -> None:
    Files(registry).write("shadow.json", b"{")
    assert set_shadow(registry, versions[2]) == registry.shadow()


def test_a_pointer_to_a_version_that_is_gone_is_found(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    Files(registry).remove(f"versions/{versions[2]}")
    assert registry.problems() == {"shadow.json": f"shadow.json names {versions[2]}, which is not among the versions"}


def test_an_exported_version_is_no_shadow_where_it_is_imported(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    set_shadow(registry, versions[2])
    export_version(registry, versions[2], tmp_path / "version.tar")
    other = Registries(tmp_path / "other").of("new-york")
    assert import_version(other, tmp_path / "version.tar") == versions[2]
    assert (other.shadow(), left(other)) == (None, False)
