"""The shadow's pointer: set beside the champion's, cleared when it becomes the champion, and in nobody's way."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model_registry.archive import export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.disk import RegistryBusy, lock
from model_registry.folder_store import FolderRegistry
from model_registry.registries import Registries
from model_registry.shadow import Shadow, ShadowDamaged, ShadowRefused
from model_registry.store import Registry, UnknownVersion
from tests.making import KEEP, LISBON, PROMOTE, publish


def set_shadow(registry: Registry, version: str) -> Shadow:
    return registry.set_shadow(version, reason="It looked better in May.", actor="ann")


def promote(registry: Registry, version: str) -> None:
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")


def left(registry: Registry) -> bool:
    return (registry.folder / "shadow.json").exists()


def test_a_registry_has_no_shadow_until_one_is_set(registry: Registry) -> None:
    assert registry.shadow() is None
    promote(registry, publish(registry, 0))
    assert (registry.shadow(), left(registry)) == (None, False)


def test_it_says_which_version_since_when_by_whom_and_why(tmp_path: Path) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    registry = FolderRegistry(tmp_path, clock=lambda: now)
    version = publish(registry, 0)
    shadow = set_shadow(registry, version)
    assert shadow == Shadow(version=version, set_at=now, actor="ann", reason="It looked better in May.")
    assert registry.shadow() == shadow
    assert json.loads((tmp_path / "shadow.json").read_text()) == {
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
    assert list((registry.folder / "incoming").iterdir()) == []


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
    (registry.path(versions[2]) / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelRefused, match="its SHA-256 or size differs"):
        set_shadow(registry, versions[2])
    assert not left(registry)


@pytest.mark.usefixtures("versions")
def test_a_version_of_another_market_is_not_set(registry: Registry) -> None:
    lisbon = Registries(registry.folder.parent).of("lisbon")
    version = publish(lisbon, 4, market=LISBON)
    shutil.copytree(lisbon.path(version), registry.folder / "versions" / version)
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
    pointer = (registry.folder / "shadow.json").read_bytes()
    promote(registry, versions[2])
    (registry.folder / "shadow.json").write_bytes(pointer)
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
    (registry.folder / "shadow.json").write_bytes(content)
    words = r"shadow.json is damaged .*: remove it with `models shadow --none`, and set the shadow again"
    with pytest.raises(ShadowDamaged, match=words):
        registry.shadow()
    with pytest.raises(ShadowDamaged, match=words):
        registry.prune(keep=0)
    assert list(registry.problems()) == ["shadow.json"]
    promote(registry, versions[2])
    registry.rollback(decision=PROMOTE, actor="test")
    assert (registry.folder / "shadow.json").read_bytes() == content
    registry.clear_shadow()
    assert (registry.problems(), left(registry)) == ({}, False)


def test_setting_it_mends_a_damaged_pointer(registry: Registry, versions: list[str]) -> None:
    (registry.folder / "shadow.json").write_text("{")
    assert set_shadow(registry, versions[2]) == registry.shadow()


def test_a_pointer_to_a_version_that_is_gone_is_found(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    shutil.rmtree(registry.path(versions[2]))
    assert registry.problems() == {"shadow.json": f"shadow.json names {versions[2]}, which is not among the versions"}


def test_setting_and_clearing_it_wait_for_other_writers(registry: Registry, versions: list[str]) -> None:
    impatient = FolderRegistry(registry.folder, patience=0.1)
    with (registry.folder / ".lock").open("w") as held:
        lock(held.fileno(), 1, registry.folder)
        with pytest.raises(RegistryBusy):
            set_shadow(impatient, versions[2])
        with pytest.raises(RegistryBusy):
            impatient.clear_shadow()
    assert set_shadow(impatient, versions[2]) == registry.shadow()


def test_it_is_carried_from_the_old_layout_into_the_markets_own_folder(tmp_path: Path) -> None:
    old = FolderRegistry(tmp_path)
    promote(old, publish(old, 0))
    shadow = set_shadow(old, publish(old, 1))
    registry = Registries(tmp_path).of("new-york")
    assert registry.shadow() == shadow
    registry.refuse(shadow.version, KEEP, run_id=None, actor="test")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "new-york"]
    assert (registry.shadow(), left(registry)) == (shadow, True)


def test_an_exported_version_is_no_shadow_where_it_is_imported(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    set_shadow(registry, versions[2])
    export_version(registry, versions[2], tmp_path / "version.tar")
    other = Registries(tmp_path / "other").of("new-york")
    assert import_version(other, tmp_path / "version.tar") == versions[2]
    assert (other.shadow(), left(other)) == (None, False)
