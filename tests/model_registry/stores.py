"""A registry in a folder or in an object store, and its files by name wherever they are."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from model_registry.folder_store import FolderRegistry
from model_registry.market import DEFAULT_MARKET
from model_registry.store import Registry, utc_now
from storage.objects import Objects

BOTH = pytest.mark.parametrize("place", ["folder", "objects"], indirect=True)
"""For tests of what is promised wherever a registry lies."""


def opened(place: Path | str, clock: Callable[[], datetime] = utc_now) -> Registry:
    """New York's registry at a place, by a clock; it knows nothing of what others have read."""
    if isinstance(place, Path):
        return FolderRegistry(place / DEFAULT_MARKET, market=DEFAULT_MARKET, clock=clock)
    from model_registry.object_store import SharedObjects

    return SharedObjects(place, patience=0.3, clock=clock).of(DEFAULT_MARKET)


class Files:
    """The files of a registry, as somebody sees and changes them who knows nothing of it."""

    def __init__(self, registry: Registry) -> None:
        self._place = registry.place

    def all(self) -> dict[str, bytes]:
        """Each by its name, but for the lock."""
        if isinstance(self._place, Path):
            files = (file for file in self._place.rglob("*") if file.is_file() and file.name != ".lock")
            return {str(file.relative_to(self._place)): file.read_bytes() for file in sorted(files)}
        objects = Objects(self._place)
        return {entry.name: objects.read(entry.name) for entry in objects.entries()}

    def __contains__(self, name: str) -> bool:
        return name in self.all()

    def read(self, name: str) -> bytes:
        """The content of one."""
        return self.all()[name]

    def write(self, name: str, content: bytes) -> None:
        """Put a content in place of any other."""
        if isinstance(self._place, Path):
            (self._place / name).write_bytes(content)
        else:
            Objects(self._place).write(name, content)

    def remove(self, name: str) -> None:
        """Remove one, or all beneath a name."""
        for one in [other for other in self.all() if other == name or other.startswith(f"{name}/")]:
            if isinstance(self._place, Path):
                (self._place / one).unlink()
            else:
                Objects(self._place).delete(one)
        if isinstance(self._place, Path) and (self._place / name).is_dir():
            (self._place / name).rmdir()

    def has_shadow(self) -> bool:
        """Whether there is a pointer to a shadow; in an object store «null» is none."""
        return self.all().get("shadow.json", b"null") != b"null"
