"""What several tests of the registry share."""

import pytest

from model_registry.store import Registry
from tests.making import KEEP, PROMOTE, publish


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    """Three versions: the first was champion, the second is, the third was refused."""
    published = [publish(registry, seed) for seed in range(3)]
    for version in published[:2]:
        registry.promote(version, PROMOTE, run_id="run-1", actor="sensor")
    registry.refuse(published[2], KEEP, run_id="run-2", actor="sensor")
    return published
