"""A registry moved between folders and object stores: all of it, verified, and finished where it was interrupted."""

from pathlib import Path

import pytest

from model_registry.classifier import ModelRefused
from model_registry.cli.refusals import EXIT_REFUSED
from model_registry.copying import Copied, CopyRefused, copy_registry
from model_registry.live import read_live, write_live
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import MarketRegistry, Registry
from tests.making import KEEP, LISBON, PROMOTE, publish
from tests.model_registry.commands import models_command
from tests.model_registry.dying import Killed, dying_at, raise_killed
from tests.model_registry.stores import BOTH, Files, opened
from tests.model_registry.test_live import figures
from tests.object_store import ObjectStore


@pytest.fixture
def full(registry: MarketRegistry, versions: list[str]) -> MarketRegistry:
    """A registry with a history of three events, a shadow, and figures of its champion."""
    registry.rollback(decision=PROMOTE, actor="ann")
    registry.set_shadow(versions[2], reason="It looked better in May.", actor="ann")
    write_live(registry, figures(versions[0]))
    return registry


@pytest.fixture(params=["to a folder", "to an object store"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "to a folder":
        return tmp_path / "target"
    store: ObjectStore = request.getfixturevalue("store")
    return store.new_url()


def same(one: Registry, other: Registry) -> bool:
    """Whether two registries hold the same, files of versions included."""
    files = [
        {name: content for name, content in Files(registry).all().items() if name.startswith(("versions/", "live/"))}
        for registry in (one, other)
    ]
    return (
        (one.champion(), one.history(), one.shadow()) == (other.champion(), other.history(), other.shadow())
        and files[0] == files[1]
        and other.problems() == {}
    )


@BOTH
def test_it_is_the_same_in_the_other_place(full: MarketRegistry, versions: list[str], target: Path | str) -> None:
    other = opened(target)
    assert copy_registry(full, other) == Copied(versions=3, events=4)
    assert same(full, opened(target))
    assert read_live(other, versions[0]) == figures(versions[0])
    assert copy_registry(full, other) == Copied(versions=0, events=0)


@BOTH
def test_what_happened_since_is_copied_by_doing_it_again(
    full: MarketRegistry, versions: list[str], target: Path | str
) -> None:
    copy_registry(full, opened(target))
    full.promote(versions[2], PROMOTE, run_id=None, actor="bob")
    full.refuse(publish(full, 4), KEEP, run_id=None, actor="bob")
    write_live(full, figures(versions[0], answers=7_000))
    assert copy_registry(full, opened(target)) == Copied(versions=1, events=2)
    assert same(full, opened(target))
    full.clear_shadow()
    copy_registry(full, opened(target))
    assert same(full, opened(target))


@BOTH
def test_a_place_with_a_history_of_its_own_is_left_as_it_is(full: MarketRegistry, target: Path | str) -> None:
    other = opened(target)
    other.refuse(publish(other, 0), KEEP, run_id=None, actor="test")
    before = Files(other).all()
    with pytest.raises(CopyRefused, match="has a history of its own, which is not the beginning of that of"):
        copy_registry(full, other)
    assert Files(other).all() == before


def test_a_place_with_versions_of_its_own_is_left_as_it_is(full: MarketRegistry, target: Path | str) -> None:
    other = opened(target)
    own = publish(other, 5)
    with pytest.raises(CopyRefused, match=f"holds {own}, which .* does not: copy to an empty place, and take single"):
        copy_registry(full, other)
    assert other.versions() == [own]


def test_a_version_that_the_other_place_published_itself_is_not_taken_for_the_same(
    full: MarketRegistry, target: Path | str
) -> None:
    other = opened(target)
    publish(other, 0)
    with pytest.raises(CopyRefused, match="is in .* already, published there by itself"):
        copy_registry(full, other)
    assert other.champion() is None


@BOTH
def test_a_damaged_version_is_not_copied_and_nobody_is_champion(
    full: MarketRegistry, versions: list[str], target: Path | str
) -> None:
    Files(full).write(f"versions/{versions[1]}/model.onnx", b"damaged")
    with pytest.raises(ModelRefused, match="its SHA-256 or size differs"):
        copy_registry(full, opened(target))
    assert opened(target).champion() is None
    assert versions[1] not in opened(target).versions()


@BOTH
def test_a_registry_is_not_copied_to_itself(full: MarketRegistry) -> None:
    with pytest.raises(CopyRefused, match="cannot be copied to itself: name another place"):
        copy_registry(full, full)


@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 29])
def test_a_copy_that_dies_at_a_request_is_finished_by_doing_it_again(
    step: int, full: MarketRegistry, store: ObjectStore
) -> None:
    deaths = 0
    for number in range(2, 300, step):
        url = store.new_url()
        try:
            with dying_at(number, "after", raise_killed):
                copy_registry(full, opened(url))
        except Killed:
            deaths += 1
        else:
            break
        champion = opened(url).champion()
        assert champion in (None, full.champion())
        if champion is not None:
            assert opened(url).history() == full.history()
        copy_registry(full, opened(url))
        assert same(full, opened(url))
    assert deaths >= 60 // step


def test_the_command_copies_all_markets_from_a_folder_to_a_url_and_back(
    full: MarketRegistry, versions: list[str], place: Path, tmp_path: Path, store: ObjectStore
) -> None:
    publish(Registries(place).of("lisbon"), 1, market=LISBON)
    url = store.new_url()
    there = models_command("copy", str(place), url)
    assert there.exit_code == 0, there.output
    assert there.output == (
        f"lisbon: 1 version and 0 events copied to {url}/lisbon; the champion is none yet.\n"
        f"new-york: 3 versions and 4 events copied to {url}/new-york; the champion is {versions[0]}.\n"
    )
    back = models_command("copy", url, str(tmp_path / "back"), "--market", "new-york")
    assert back.exit_code == 0, back.output
    assert Registries(tmp_path / "back").markets() == ["new-york"]
    assert same(full, Registries(tmp_path / "back").of(DEFAULT_MARKET))


@pytest.mark.usefixtures("full")
def test_what_cannot_be_copied_is_told_in_a_sentence(place: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "target")
    for arguments, code, words in (
        ((str(tmp_path / "none"), target), EXIT_REFUSED, "there is no registry "),
        (
            (str(place), target, "--market", "oslo"),
            EXIT_REFUSED,
            "there is no registry of oslo in .*, only of new-york",
        ),
        ((str(place), str(place)), EXIT_REFUSED, "cannot be copied to itself"),
        ((str(place), "ftp://somewhere"), 2, "names no place that can be used: give a folder, or one of s3://bucket"),
    ):
        told = models_command("copy", *arguments)
        assert told.exit_code == code
        assert words.partition(".*")[0] in told.stderr.replace("\n", " ")
    assert not (tmp_path / "target").exists()
