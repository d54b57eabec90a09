"""The registry in a folder: a lock, renames, and what a writer leaves that is killed between them."""

from pathlib import Path

import pytest

from model_registry.disk import RegistryBusy, lock
from model_registry.folder_store import FolderRegistry
from model_registry.history import Event, HistoryDamaged
from model_registry.registries import Registries
from tests.making import KEEP, publish
from tests.model_registry.test_shadow import set_shadow
from tests.model_registry.test_store import promote


def test_a_promotion_that_died_before_its_history_line_is_complete_for_readers_and_writers(
    registry: FolderRegistry,
) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)
    promote(registry, second)
    history = registry.history()
    lines = (registry.folder / "history.jsonl").read_bytes().splitlines(keepends=True)
    (registry.folder / "history.jsonl").write_bytes(lines[0])
    assert registry.history() == history
    publish(registry, 2)
    assert (registry.folder / "history.jsonl").read_bytes() == b"".join(lines)


class PromotedMeanwhile(FolderRegistry):
    """A registry in which somebody promotes a version once, between a reader's looks at champion.json and history."""

    def __init__(self, folder: Path, version: str) -> None:
        super().__init__(folder)
        self.to_promote = [version]

    def history(self) -> list[Event]:
        """The history with that promotion."""
        if self.to_promote:
            promote(FolderRegistry(self.folder), self.to_promote.pop())
        return super().history()


def test_a_promotion_between_the_looks_at_the_pointer_and_the_history_is_no_damage(registry: FolderRegistry) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)
    reader = PromotedMeanwhile(registry.folder, second)
    assert reader.problems() == {}
    assert reader.to_promote == []


@pytest.mark.parametrize("left", [1, 20, 100])
def test_a_history_line_that_died_half_written_is_completed(left: int, registry: FolderRegistry) -> None:
    version = publish(registry, 0)
    promote(registry, version)
    whole = (registry.folder / "history.jsonl").read_bytes()
    (registry.folder / "history.jsonl").write_bytes(whole[:left])
    assert [event.version for event in registry.history()] == [version]
    publish(registry, 1)
    assert (registry.folder / "history.jsonl").read_bytes() == whole


def test_what_a_killed_writer_left_is_swept_by_the_next(registry: FolderRegistry) -> None:
    version = publish(registry, 0)
    incoming = registry.folder / "incoming"
    (incoming / "abc" / "tree-1").mkdir(parents=True)
    (incoming / "abc" / "tree-1" / "model.onnx").write_bytes(b"half")
    (incoming / "champion-abc.json").write_bytes(b"{")
    promote(registry, version)
    assert list(incoming.iterdir()) == []


def test_a_second_writer_waits_and_then_fails_in_words(registry: FolderRegistry) -> None:
    publish(registry, 0)
    with (registry.folder / ".lock").open("w") as held:
        lock(held.fileno(), 1, registry.folder)
        impatient = FolderRegistry(registry.folder, patience=0.1)
        with pytest.raises(RegistryBusy, match=r"another process has been writing .* for 0.1 s"):
            publish(impatient, 1)
    assert publish(impatient, 1) in registry.versions()


def test_a_damaged_pointer_is_named(registry: FolderRegistry) -> None:
    promote(registry, publish(registry, 0))
    (registry.folder / "champion.json").write_text("{}")
    with pytest.raises(HistoryDamaged, match=r"champion.json is damaged .*: remove it, see with `models history`"):
        registry.champion()


def test_reading_takes_no_lock(registry: FolderRegistry) -> None:
    promote(registry, publish(registry, 0))
    (registry.folder / ".lock").unlink()
    assert registry.champion() is not None
    assert len(registry.history()) == 1
    assert not (registry.folder / ".lock").exists()


def test_setting_and_clearing_it_wait_for_other_writers(registry: FolderRegistry, versions: list[str]) -> None:
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
    assert (registry.shadow(), (registry.folder / "shadow.json").exists()) == (shadow, True)
