"""What several tests of the API share."""

from pathlib import Path

import pytest

from model_registry.folder_store import FolderRegistry
from tests.making import PROMOTE, publish


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a champion."""
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    return registry.folder
