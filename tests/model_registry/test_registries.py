"""A registry for each market, and a folder from before there were several: read as it is, taken over by a writer."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_registry.archive import export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.folder_store import FolderRegistry
from model_registry.live import read_live, write_live
from model_registry.market import BadMarket, read_market
from model_registry.old_layout import TwoRegistries
from model_registry.registries import Registries, UnknownMarket
from model_registry.store import Registry
from tests.making import KEEP, LISBON, PROMOTE, publish
from tests.model_registry.test_live import figures

MARKETS = Path(__file__).parents[2] / "markets"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def registries(folder: Path) -> Registries:
    return Registries(folder)


@pytest.fixture
def old(folder: Path) -> Registry:
    """A registry of the old layout with two champions one after the other, and a version that was refused."""
    registry = FolderRegistry(folder)
    for seed in (1, 2):
        registry.promote(publish(registry, seed), PROMOTE, run_id=None, actor="test")
    registry.refuse(publish(registry, 3), KEEP, run_id=None, actor="test")
    return registry


def content(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_what_is_done_in_one_market_leaves_the_others_files_alone(registries: Registries, folder: Path) -> None:
    new_york, lisbon = registries.of("new-york"), registries.of("lisbon")
    champion = publish(new_york, 1)
    new_york.promote(champion, PROMOTE, run_id=None, actor="test")
    before = content(folder / "new-york")
    version = publish(lisbon, 2, market=LISBON)
    lisbon.promote(version, PROMOTE, run_id=None, actor="test")
    lisbon.refuse(publish(lisbon, 3, market=LISBON), KEEP, run_id=None, actor="test")
    lisbon.prune(0)
    assert content(folder / "new-york") == before
    assert registries.markets() == ["lisbon", "new-york"]
    assert [registries.of(name).champion().version for name in registries.markets()] == [version, champion]  # type: ignore[union-attr]


def test_a_market_nobody_has_written_to_is_empty_and_reading_makes_no_folder(
    registries: Registries, folder: Path
) -> None:
    registry = registries.of("lisbon")
    assert (registry.versions(), registry.champion(), registry.history(), registries.markets()) == ([], None, [], [])
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "..", "../lisbon", "Lisbon", "versions", "incoming", "a/b", ".taking-over"])
def test_what_is_no_markets_name_has_no_registry(name: str, registries: Registries) -> None:
    with pytest.raises(UnknownMarket, match="is no market's name"):
        registries.of(name)


@pytest.mark.parametrize("name", ["versions", "incoming", "live"])
def test_no_market_is_called_as_a_registrys_own_folders_are(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.toml"
    shutil.copy(MARKETS / "new-york.toml", file)
    with pytest.raises(BadMarket, match=f"its name '{name}' must be small letters and digits.* not incoming or"):
        read_market(file)


def test_a_version_of_another_market_is_neither_published_nor_imported(registries: Registries, tmp_path: Path) -> None:
    lisbon, new_york = registries.of("lisbon"), registries.of("new-york")
    with pytest.raises(ModelRefused, match="it is new-york's, and this registry lisbon's"):
        publish(lisbon, 1)
    version = publish(new_york, 1)
    export_version(new_york, version, tmp_path / "version.tar")
    with pytest.raises(ModelRefused, match="it is new-york's, and this registry lisbon's"):
        import_version(lisbon, tmp_path / "version.tar")
    assert lisbon.versions() == []


def test_a_version_that_was_copied_into_another_market_is_not_opened(registries: Registries, folder: Path) -> None:
    lisbon, new_york = registries.of("lisbon"), registries.of("new-york")
    publish(lisbon, 2, market=LISBON)
    version = publish(new_york, 1)
    shutil.copytree(new_york.path(version), folder / "lisbon" / "versions" / version)
    with pytest.raises(ModelRefused, match="it is new-york's, and this registry lisbon's"):
        lisbon.open(version)


def test_an_old_folder_is_read_as_new_yorks_and_reading_changes_nothing(
    old: Registry, registries: Registries, folder: Path
) -> None:
    before = content(folder)
    registry = registries.of("new-york")
    assert registries.markets() == ["new-york"]
    assert registry.champion() == old.champion()
    assert registry.history() == old.history()
    assert registry.versions() == old.versions()
    assert registry.problems() == {}
    assert registries.of("lisbon").champion() is None
    assert content(folder) == before


def test_an_old_folder_of_another_city_is_read_as_that_citys(registries: Registries, folder: Path) -> None:
    old = FolderRegistry(folder)
    old.promote(publish(old, 1, market=LISBON), PROMOTE, run_id=None, actor="test")
    assert registries.markets() == ["lisbon"]
    assert registries.of("lisbon").champion() == old.champion()
    assert registries.of("new-york").champion() is None


def test_the_first_writer_takes_it_over_with_all_it_holds(old: Registry, registries: Registries, folder: Path) -> None:
    champion, history, versions = old.champion(), old.history(), old.versions()
    registry = registries.of("new-york")
    assert champion
    live = figures(champion.version)
    write_live(registry, live)
    assert (folder / "live").is_dir()
    registry.set_shadow(versions[0], reason="For the test.", actor="test")
    registry.refuse(versions[0], KEEP, run_id=None, actor="test")
    assert sorted(entry.name for entry in folder.iterdir()) == [".lock", "new-york"]
    assert registry.champion() == champion
    assert registry.history()[:-1] == history
    assert registry.versions() == versions
    assert read_live(registry, champion.version) == live
    assert registry.problems() == {}
    assert registry.rollback(decision=PROMOTE, actor="test").version == history[0].version


def test_a_writer_of_another_market_takes_it_over_as_well(old: Registry, registries: Registries, folder: Path) -> None:
    champion = old.champion()
    publish(registries.of("lisbon"), 4, market=LISBON)
    assert sorted(entry.name for entry in folder.iterdir()) == [".lock", "lisbon", "new-york"]
    assert registries.of("new-york").champion() == champion


def test_one_that_cannot_be_linked_is_copied(
    old: Registry, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", link)
    champion = old.champion()
    registries.of("new-york").prune(99)
    assert registries.of("new-york").champion() == champion
    assert registries.of("new-york").problems() == {}


@pytest.mark.usefixtures("old")
def test_what_an_older_version_wrote_beside_the_new_is_not_thrown_away(registries: Registries, folder: Path) -> None:
    registry = registries.of("new-york")
    registry.prune(99)
    champion = registry.champion()
    again = FolderRegistry(folder)
    late = publish(again, 5)
    again.promote(late, PROMOTE, run_id=None, actor="an older version")
    with pytest.raises(TwoRegistries, match="in two places.*move versions, champion.json and history.jsonl out"):
        registry.refuse(registry.versions()[0], KEEP, run_id=None, actor="test")
    assert again.versions() == [late]
    assert registry.champion() == champion


def test_readers_see_one_champion_and_one_history_while_writers_take_it_over(old: Registry, folder: Path) -> None:
    champion, history, versions = old.champion(), old.history(), old.versions()

    def read(_: int) -> bool:
        registry = Registries(folder).of("new-york")
        return (registry.champion(), registry.history(), registry.versions()) == (champion, history, versions)

    for turn in range(10):
        copy = folder.with_name(f"copy-{turn}")
        if turn:
            shutil.copytree(folder.with_name("copy-0"), folder, dirs_exist_ok=False)
        else:
            shutil.copytree(folder, copy)
        with ThreadPoolExecutor(8) as threads:
            seen = [threads.submit(read, number) for number in range(40)]
            writers = [threads.submit(Registries(folder).of("new-york").prune, 99) for _ in range(3)]
            assert all(one.result() for one in seen)
            assert [one.result() for one in writers] == [[], [], []]
        shutil.rmtree(folder)
