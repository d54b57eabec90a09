"""What several tests of the registry share."""

from pathlib import Path

import pytest

from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import MarketRegistry, Registry
from tests.making import KEEP, PROMOTE, publish
from tests.object_store import ObjectStore


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where the registries are: in a folder unless the test is of both."""
    if getattr(request, "param", "folder") == "folder":
        return tmp_path / "registry"
    store: ObjectStore = request.getfixturevalue("store")
    return store.new_url()


@pytest.fixture
def registry(place: Path | str) -> MarketRegistry:
    """New York's registry, empty."""
    return Registries(place).of(DEFAULT_MARKET)


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    """Three versions: the first was champion, the second is, the third was refused."""
    published = [publish(registry, seed) for seed in range(3)]
    for version in published[:2]:
        registry.promote(version, PROMOTE, run_id="run-1", actor="sensor")
    registry.refuse(published[2], KEEP, run_id="run-2", actor="sensor")
    return published
