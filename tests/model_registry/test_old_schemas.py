"""What older code published is read as before: a registry of schema version 1, kept beside this file, and version 2."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.archive import export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.folder_store import FolderRegistry
from model_registry.id_filter import filter_of
from model_registry.listing import EXAMPLE
from model_registry.manifest import ManifestRefused, read_manifest, signature_of, write_manifest
from model_registry.market import NEW_YORK
from model_registry.store import Registry
from tests.making import LISBON, PROMOTE, listing, manifest, model, publish

MADE_UP, CHAMPION, REFUSED = "tree-cb6001dcb78d", "tree-e1b36d9fc67c", "tree-7a39e06f0f79"


@pytest.fixture
def old(tmp_path: Path) -> Registry:
    shutil.copytree(Path(__file__).parent / "registry-of-schema-1", tmp_path / "registry")
    return FolderRegistry(tmp_path / "registry")


def test_it_is_listed_and_verified(old: Registry) -> None:
    manifests, damaged = old.manifests()
    assert {manifest.version: manifest.schema_version for manifest in manifests} == dict.fromkeys(old.versions(), 1)
    assert (old.versions(), damaged) == (sorted([MADE_UP, CHAMPION, REFUSED]), {})
    assert old.problems() == {}


def test_its_manifests_are_written_again_to_the_byte_and_have_no_profile(old: Registry) -> None:
    for version in old.versions():
        content = (old.path(version) / "manifest.json").read_bytes()
        manifest = read_manifest(content)
        assert manifest.profile is None
        assert write_manifest(manifest) == content


def test_a_manifest_of_schema_1_with_a_field_of_schema_2_is_refused(old: Registry) -> None:
    content = (old.path(CHAMPION) / "manifest.json").read_bytes()
    with pytest.raises(ManifestRefused, match="is not the one that was published"):
        read_manifest(content.replace(b'"checksum"', b'"profile": null,\n  "checksum"'))


def test_a_manifest_of_a_later_schema_is_refused_with_the_cure(old: Registry) -> None:
    content = (old.path(CHAMPION) / "manifest.json").read_bytes()
    with pytest.raises(ManifestRefused, match="schema version 7, this code reads 1 to 6: upgrade the code"):
        read_manifest(content.replace(b'"schema_version": 1', b'"schema_version": 7'))


def test_its_champion_is_served(old: Registry) -> None:
    with TestClient(create_app(Settings(model_registry=str(old.folder)))) as client:
        answer = client.post("/classify", json=EXAMPLE)
        assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, CHAMPION)
        assert client.get("/readyz").json() == {"status": "ready", "model_version": CHAMPION}


def test_it_is_rolled_back(old: Registry) -> None:
    champion = old.rollback(decision=PROMOTE, actor="test")
    assert (champion.version, champion.previous, champion.sequence) == (MADE_UP, CHAMPION, 4)


def test_versions_of_both_schemas_stand_side_by_side(old: Registry) -> None:
    new = publish(old, seed=3)
    old.promote(new, PROMOTE, run_id="run-9", actor="test", instead_of=CHAMPION)
    assert old.manifest(new).schema_version == 6
    assert old.problems() == {}
    assert old.rollback(decision=PROMOTE, actor="test").version == CHAMPION


def test_its_versions_travel_in_archives(old: Registry, tmp_path: Path) -> None:
    export_version(old, CHAMPION, tmp_path / "version.tar")
    other = FolderRegistry(tmp_path / "other")
    assert import_version(other, tmp_path / "version.tar") == CHAMPION
    assert other.manifest(CHAMPION).schema_version == 1


def test_a_manifest_of_schema_2_is_new_yorks_and_is_written_again_to_the_byte(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    version = publish(registry, seed=7, schema_version=2)
    content = (registry.path(version) / "manifest.json").read_bytes()
    assert b'"market"' not in content
    assert read_manifest(content).market == NEW_YORK
    assert write_manifest(read_manifest(content)) == content
    with pytest.raises(ManifestRefused, match="is not the one that was published"):
        read_manifest(content.replace(b'"checksum"', b'"market": ' + msgspec.json.encode(NEW_YORK) + b', "checksum"'))


def test_a_manifest_of_schema_3_has_no_background_and_is_written_again_to_the_byte(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    version = publish(registry, seed=7, schema_version=3)
    content = (registry.path(version) / "manifest.json").read_bytes()
    assert b'"background"' not in content
    assert read_manifest(content).background == ()
    assert write_manifest(read_manifest(content)) == content


def test_a_manifest_of_schema_4_has_no_map_and_is_written_again_to_the_byte(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    version = publish(registry, seed=7, schema_version=4, background=(listing(),))
    content = (registry.path(version) / "manifest.json").read_bytes()
    assert b'"places"' not in content
    assert read_manifest(content).places is None
    assert write_manifest(read_manifest(content)) == content


def test_a_manifest_of_schema_5_does_not_say_what_it_learned_from_and_is_written_again_to_the_byte(
    tmp_path: Path,
) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    version = publish(registry, seed=7, schema_version=5, learned_from=filter_of(np.arange(9)))
    content = (registry.path(version) / "manifest.json").read_bytes()
    assert b'"learned_from"' not in content
    assert read_manifest(content).learned_from is None
    assert write_manifest(read_manifest(content)) == content


def test_a_background_listing_of_another_market_is_refused(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    with pytest.raises(ModelRefused, match="its background listing 39331263 is in Alfama, which is none of its market"):
        publish(registry, seed=7, background=(listing(neighbourhood="Alfama"),))


def test_a_manifest_holds_its_whole_market(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    assert registry.manifest(publish(registry, seed=7, market=LISBON)).market == LISBON


def test_a_version_whose_signature_is_not_its_markets_is_refused(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    with pytest.raises(ModelRefused, match="its neighbourhoods are"):
        publish(registry, seed=7, signature=signature_of(LISBON))
    with pytest.raises(ModelRefused, match="is in Brooklyn, which is none of its market's neighbourhoods"):
        publish(registry, seed=7, market=LISBON, golden=manifest(model(7)).golden)
    assert registry.versions() == []
